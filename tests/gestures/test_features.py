"""The completion of a capture, and what is left when a step of it fails (GES-46 to GES-52, GES-28)."""

import os
import re
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction

from gestures import artifacts, errors, features, slots, verification
from gestures.features import Extracted
from gestures.models import CaptureSlot, FeatureRef
from sessions_app import broadcast, clock, eventlog, sessions
from sessions_app.errors import RecorderUnavailable
from sessions_app.log import replay
from tests.captures import START
from tests.commands import run
from tests.factories import make_caller, make_session
from tests.gestures.making import make_opened
from tests.logs import events, log_path

pytestmark = pytest.mark.django_db


@pytest.fixture
def session():
    return make_session()


def extracted(session, frames=4, **over):
    rows = np.arange(frames * 214, dtype="<f4").tobytes()
    return Extracted(
        make_opened(session, **over), clock.parse("2026-03-02T09:20:02.5Z"), rows, "holistic_landmarks_v1", 4000
    )


def files():
    return sorted(path.name for path in Path(settings.DATA_ROOT).rglob("*") if path.is_file())


def test_store_leaves_a_file_a_row_and_one_line_that_agree(session):
    """GES-46, GES-51, GES-52."""
    ref = features.store(extracted(session, device_id="tablet-1"))

    line = events("u1", session.session_id)[-1]
    assert line == features.event_of(FeatureRef.objects.get())
    assert files() == [f"{ref.record_id}.npz"]
    assert artifacts.sha256(artifacts.read(ref.uri)) == ref.hash == line["raw_features_ref"]["hash"]
    assert verification.verify(ref).is_ok


def test_the_line_has_the_contracts_members(session):
    """GES-51, GES section 7, in the contract's order."""
    features.store(extracted(session))
    line = events("u1", session.session_id)[-1]
    assert list(line) == [
        "schema_version", "record_id", "user_id", "session_id", "timestamp", "modality", "source", "performer_id",
        "event", "raw_features_ref", "capture",
    ]  # fmt: skip
    assert (line["source"], line["event"], line["modality"]) == ("landmark_extractor", "raw_features.ready", "gesture")
    assert list(line["raw_features_ref"]) == ["uri", "hash", "encoding", "dims", "format", "shape", "dtype"]
    assert line["raw_features_ref"]["shape"] == [4, 214]
    assert line["raw_features_ref"]["encoding"] == (
        f"holistic_landmarks_v1;fps=15;max_window_s=120;extractor_tag={settings.EXTRACTOR_TAG}"
    )
    assert line["capture"] == {
        "timestamp_start": "2026-03-02T09:20:00.000Z", "timestamp_end": "2026-03-02T09:20:02.500Z", "fps_target": 15,
        "width": 64, "height": 64, "frames": 4, "bytes": 4000, "device_id": None, "intent": "drink",
    }  # fmt: skip


def test_the_session_hears_of_it_after_the_commit(session, django_capture_on_commit_callbacks, monkeypatch):
    """GES-46 step 7, CON-16."""
    told: list[Any] = []
    monkeypatch.setattr(broadcast, "_tell", told.extend)
    with django_capture_on_commit_callbacks(execute=True):
        ref = features.store(extracted(session))
        assert told == []
    (audience, frame) = told[-1]
    assert session.session_id in audience
    assert str(ref.record_id) in frame.json


def test_equal_rows_under_another_record_id_have_the_same_hash(session):
    """GES-45."""
    assert features.store(extracted(session)).hash == features.store(extracted(session)).hash


def test_finer_times_are_kept_as_the_line_has_them(session):
    """SES-4: three digits in row and line alike, so that they agree."""
    ref = features.store(extracted(session, timestamp_start="2026-03-02T09:20:00.0009Z"))
    ref.refresh_from_db()
    assert ref.timestamp_start == START
    assert verification.verify(ref).is_ok


def test_the_row_can_be_made_again_from_the_line(session):
    """GES-51: the line holds everything."""
    ref = features.store(extracted(session))
    again = features.restorable(events("u1", session.session_id)[-1])
    for field in FeatureRef._meta.fields:
        assert getattr(again, field.attname) == getattr(ref, field.attname), field.name


def test_a_used_record_id_leaves_the_first_capture_alone(session):
    """GES-46 step 3: unique record_id."""
    first = features.store(extracted(session))
    with pytest.raises(errors.RecordIdUsed):
        features.store(extracted(session, frames=5, record_id=str(first.record_id)))
    assert verification.verify(FeatureRef.objects.get()).is_ok
    assert files() == [f"{first.record_id}.npz"]


def test_an_ended_session_takes_no_capture(session):
    """GES-46 step 2, SES-21: nothing remains."""
    sessions.end(session.session_id, user_id="u1", performer_id="u1", by=make_caller())
    with pytest.raises(errors.SessionClosed):
        features.store(extracted(session))
    assert (files(), FeatureRef.objects.count()) == ([], 0)


def fail(error):
    def raising(*args, **kwargs):
        raise error

    return raising


@pytest.mark.parametrize(
    ("target", "name", "error"),
    [
        (os, "fsync", OSError(28, "No space left on device")),
        (Path, "rename", OSError(13, "denied")),
        (eventlog, "append", RecorderUnavailable()),
        (FeatureRef, "save", DatabaseError("gone")),
    ],
)
def test_a_step_that_fails_leaves_nothing(session, monkeypatch, target, name, error):
    """GES-28, GES-47: no artefact, no event, no row, no temporary file; the record_id stays free."""
    wanted = extracted(session)
    with monkeypatch.context() as patched:
        patched.setattr(target, name, fail(error))
        with pytest.raises(errors.StoreFailed):
            features.store(wanted)
    assert (files(), FeatureRef.objects.count(), len(events("u1", session.session_id))) == ([], 0, 1)
    assert features.store(wanted).frames == 4


def test_rows_that_are_not_finite_are_the_extractors_fault(session):
    """GES-41."""
    rows = np.full((2, 214), np.nan, dtype="<f4").tobytes()
    bad = Extracted(make_opened(session), clock.parse("2026-03-02T09:20:02Z"), rows, "holistic_landmarks_v1", 1)
    with pytest.raises(errors.ExtractorFailed):
        features.store(bad)
    assert files() == []


def test_a_line_whose_commit_was_lost_gets_its_row(session):
    """GES-48: the next completion does not rename; it inserts the row from the line and says record_id_used."""
    wanted = extracted(session)
    ref = features.store(wanted)
    FeatureRef.objects.all().delete()
    later = Extracted(wanted.opened, wanted.timestamp_end, bytes(856), wanted.layout, 1)
    with pytest.raises(errors.RecordIdUsed):
        features.store(later)
    assert FeatureRef.objects.get().hash == ref.hash
    assert verification.verify(FeatureRef.objects.get()).is_ok
    assert files() == [f"{ref.record_id}.npz"]


def test_a_line_without_row_and_file_refuses_its_record_id(session):
    """GES-48: nothing is written over what the log says, and nothing is left."""
    ref = features.store(extracted(session))
    FeatureRef.objects.all().delete()
    artifacts.resolve(ref.uri).unlink()
    with pytest.raises(errors.RecordIdUsed):
        features.store(extracted(session, record_id=str(ref.record_id)))
    assert (files(), FeatureRef.objects.count(), len(events("u1", session.session_id))) == ([], 0, 2)


def test_a_completion_does_not_read_the_log(session, monkeypatch):
    """A long session's captures complete as soon as a short one's."""
    monkeypatch.setattr(features, "recorded", lambda *_: pytest.fail("read"))
    assert features.store(extracted(session)).frames == 4


def test_replay_puts_back_a_lost_row(session):
    """SES-59, feature_row_missing: inserted from the line if the artefact verifies."""
    ref = features.store(extracted(session))
    FeatureRef.objects.all().delete()
    assert run("replay_session", session.session_id) == (
        1, [f"differs {session.session_id} feature_row_missing {ref.record_id}"],
    )  # fmt: skip
    assert run("replay_session", session.session_id, "--repair")[0] == 0
    assert run("replay_session", session.session_id) == (0, [f"ok {session.session_id} events=2"])
    assert verification.verify(FeatureRef.objects.get()).is_ok


def test_replay_does_not_vouch_for_a_spoiled_artefact(session):
    """SES-59: the row is not made again for a file that is not what the line says."""
    ref = features.store(extracted(session))
    FeatureRef.objects.all().delete()
    artifacts.resolve(ref.uri).write_bytes(b"spoiled")
    assert run("replay_session", session.session_id, "--repair")[0] == 1
    assert not FeatureRef.objects.exists()


def test_replay_names_a_row_without_its_line_and_one_that_differs(session):
    """SES-59: feature_event_missing, field_mismatch."""
    ref = features.store(extracted(session))
    FeatureRef.objects.update(intent="eat")
    assert (
        f"differs {session.session_id} field_mismatch {ref.record_id} differs between line and row"
        in run("replay_session", session.session_id)[1]
    )
    stray = FeatureRef.objects.get()
    stray.record_id, stray.uri = uuid.uuid4(), "data/elsewhere"
    stray.save(force_insert=True)
    assert any("feature_event_missing" in line for line in run("replay_session", session.session_id)[1])


def test_every_app_that_writes_lines_registers_its_replay():
    """SES-58."""
    assert "gestures" in replay._replayers


@pytest.mark.parametrize(
    "broken", [{"dims": 0}, {"frames": 0}, {"frames": 1801}, {"hash": "A" * 64}, {"hash": "a" * 63}]
)
def test_the_database_holds_what_it_can(session, broken):
    """GES-52."""
    ref = features.store(extracted(session))
    with pytest.raises(IntegrityError), transaction.atomic():
        FeatureRef.objects.filter(pk=ref.pk).update(**broken)


# Slots


def take(session, *, by=None, **over):
    holder = uuid.uuid4()
    slots.take(make_opened(session, **over), holder=holder, by=by or make_caller())
    return holder


def test_a_session_has_one_slot(session):
    """GES-3, captures at once; GES-28: freed, it is free."""
    holder = take(session)
    with pytest.raises(errors.CaptureInProgress):
        take(session)
    slots.free(session.session_id, holder=uuid.uuid4())
    assert CaptureSlot.objects.exists()
    slots.free(session.session_id, holder=holder)
    take(session)


def test_a_dead_process_frees_its_slots_by_silence(session):
    """A lease that is not renewed ends; one that is, does not."""
    opened, holder = make_opened(session), take(session)
    CaptureSlot.objects.update(expires_at=clock.parse("2026-03-02T09:00:00Z"))
    slots.keep(opened, holder=holder)
    with pytest.raises(errors.CaptureInProgress):
        take(session)
    CaptureSlot.objects.update(expires_at=clock.parse("2026-03-02T09:00:00Z"))
    take(session)


def test_refusals_at_open_come_in_the_contracts_order(session):
    """GES-18's clarification: user, session, record_id, slot."""
    ref = features.store(extracted(session))
    take(session)
    stranger, foreign = make_caller("u2"), make_session("u2")
    with pytest.raises(errors.UserNotAllowed):
        take(session, by=stranger, session_id="sess_" + "0" * 16)
    with pytest.raises(errors.SessionInvalid):
        take(session, session_id=foreign.session_id, record_id=str(ref.record_id))
    with pytest.raises(errors.SessionInvalid):
        take(session, session_id="sess_" + "0" * 16)
    with pytest.raises(errors.RecordIdUsed):
        take(session, record_id=str(ref.record_id))
    with pytest.raises(errors.CaptureInProgress):
        take(session, by=make_caller("carer01", "operator"))


def test_a_slot_keeps_its_session_alive_and_ends_with_it(session):
    """SES-54, GES-4: activity is noted; a session that ended ends the capture."""
    opened, holder = make_opened(session), take(session)
    session.touch(clock.parse("2026-03-02T09:00:00Z"))
    slots.keep(opened, holder=holder)
    session.refresh_from_db()
    assert session.last_activity_at > clock.parse("2026-03-02T09:00:00Z")
    sessions.end(session.session_id, user_id="u1", performer_id="u1", by=make_caller())
    with pytest.raises(errors.SessionClosed):
        slots.keep(opened, holder=holder)
    with pytest.raises(errors.SessionInvalid):
        slots.keep(make_opened(session, session_id="sess_" + "0" * 16), holder=holder)


def test_a_directory_exchanged_for_a_link_fails_the_store_and_the_verification_of_nobody_else(session):
    """SES-65, GES-46: a log that a link leads to is none."""
    ref, _ = features.store(extracted(session)), features.store(extracted(make_session("u2")))
    folder = log_path("u1", session.session_id).parent
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(folder.with_name("moved"))
    with pytest.raises(errors.StoreFailed):
        features.store(extracted(session))
    code, out = run("verify_features", "--all")
    assert code == 1
    assert [line for line in out if str(ref.record_id) in line and "event_missing" in line]
    assert out[-1] == "verified=2 ok=1 failed=1 orphans=0"


@pytest.mark.parametrize("spoiled", [b'"frames":"x"', b'"frames":99999999999', b'"fps_target":[]'], ids=bytes.decode)
def test_a_spoiled_line_is_repaired_by_nothing_and_stops_nothing(session, spoiled):
    """SES-59, SES-61: its artefact verifies, its row cannot be made."""
    other = make_session("u2")
    ref = features.store(extracted(session))
    name = spoiled.split(b":")[0]
    path = log_path("u1", session.session_id)
    path.write_bytes(re.sub(name + rb":[0-9.]+", spoiled, path.read_bytes()))
    ref.delete()
    code, out = run("replay_session", "--all", "--repair")
    assert code == 1
    assert [line for line in out if line.startswith(f"differs {session.session_id} feature_row_missing ")]
    assert f"ok {other.session_id} events=1" in out
    assert not FeatureRef.objects.exists()


def test_a_line_copied_from_another_log_makes_no_row(session):
    """SES-59: neither here nor there, where it may have been removed with its session's log."""
    other = make_session("u2")
    ref = features.store(extracted(other))
    line = log_path("u2", other.session_id).read_bytes().splitlines(keepends=True)[-1]
    ref.delete()
    log_path("u2", other.session_id).unlink()
    with log_path("u1", session.session_id).open("ab") as log:
        log.write(line)
    assert run("replay_session", "--all", "--repair")[0] == 1
    assert not FeatureRef.objects.exists()


def test_an_append_failure_is_seen_by_nobody(session):
    """A log that has vanished refuses the capture and stays vanished."""
    log_path("u1", session.session_id).unlink()
    with pytest.raises(errors.StoreFailed):
        features.store(extracted(session))
    assert not log_path("u1", session.session_id).exists()
