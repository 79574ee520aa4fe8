"""Where a log lies, and what may stand in its way (SES-33, SES-37, SES-43, SES-65)."""

import os
import signal
from pathlib import Path

import pytest

from sessions_app import ids, paths, sessions
from sessions_app.errors import (
    RecorderUnavailable,
    RecordIdUsed,
    SessionDirMissing,
)
from sessions_app.models import Session
from tests.factories import append_event, make_caller, make_session
from tests.logs import log_path

pytestmark = pytest.mark.django_db


def contents(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_log_is_made_with_mode_0640_in_directories_of_0750():
    """SES-43, SES-64."""
    path = log_path("u1", make_session().session_id)
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.parent.stat().st_mode & 0o777 == 0o750


def test_a_missing_directory_is_not_made_again():
    """SES-43, SES-33: the recorder makes no directory."""
    session = make_session()
    path = log_path("u1", session.session_id)
    path.parent.rename(path.parent.with_name("elsewhere"))
    with pytest.raises(SessionDirMissing):
        append_event(session)
    with pytest.raises(RecorderUnavailable):
        sessions.end(session.session_id, user_id="u1", performer_id="u1", by=make_caller())
    assert not path.parent.exists()
    assert Session.objects.get().is_active


def test_a_log_that_is_a_link_is_refused(tmp_path):
    """SES-43, SES-65."""
    session = make_session()
    path = log_path("u1", session.session_id)
    target = tmp_path / "target"
    path.rename(target)
    path.symlink_to(target)
    size = target.stat().st_size
    with pytest.raises(RecorderUnavailable):
        append_event(session)
    assert target.stat().st_size == size


@pytest.mark.parametrize("level", ["users", "u1", "sessions"])
@pytest.mark.parametrize("leads", ["to where it was moved", "to another place", "nowhere", "to itself"])
def test_a_directory_exchanged_for_a_link_is_refused(level, leads, tmp_path):
    """SES-65: at every level below the root, though nothing else may have changed."""
    session = make_session()
    log = log_path("u1", session.session_id)
    directory = next(path for path in log.parents if path.name == level)
    (tmp_path / "another").mkdir()
    target = {"to where it was moved": "moved", "to another place": "another", "to itself": directory}
    directory.rename(tmp_path / "moved")
    directory.symlink_to(tmp_path / target.get(leads, "no"))
    before = contents(tmp_path / "moved")
    with pytest.raises(RecorderUnavailable):
        append_event(session)
    assert contents(tmp_path / "moved") == before
    assert list((tmp_path / "another").iterdir()) == []


def test_a_link_put_in_the_way_while_a_line_is_written_leads_nobody_away(tmp_path, monkeypatch):
    """SES-65: what was looked at is what is written to."""
    session = make_session()
    directory = log_path("u1", session.session_id).parent
    (tmp_path / "elsewhere").mkdir()
    passed = paths.open_log_directory

    def exchanged(place):
        descriptor = passed(place)
        directory.rename(tmp_path / "moved")
        directory.symlink_to(tmp_path / "elsewhere")
        return descriptor

    monkeypatch.setattr(paths, "open_log_directory", exchanged)
    append_event(session)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert len((tmp_path / "moved" / f"{session.session_id}.jsonl").read_bytes().splitlines()) == 2
    assert len((tmp_path / "moved" / f"{session.session_id}.chain").read_bytes().splitlines()) == 2


def test_a_log_whose_place_another_file_took_is_read_from_its_beginning():
    """SES-42: the record ids that count are those of the file that is there."""
    session = make_session()
    first = append_event(session)
    path = log_path("u1", session.session_id)
    raw = path.read_bytes()
    line = raw.splitlines(keepends=True)[1]
    record_id = ids.new_record_id()
    path.unlink()
    path.write_bytes(raw + line.replace(first.event["record_id"].encode(), record_id.encode()))
    with pytest.raises(RecordIdUsed):
        append_event(session, record_id=record_id)


@pytest.mark.parametrize("read", [False, True])
def test_a_pipe_in_place_of_a_log_is_refused_and_nobody_waits_for_its_reader(read):
    """SES-43: a failed append (SES-32), under the row's lock."""
    session = make_session()
    path = log_path("u1", session.session_id)
    path.unlink()
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if read else None
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it waits"))
    signal.alarm(5)
    try:
        with pytest.raises(RecorderUnavailable):
            append_event(session)
    finally:
        signal.alarm(0)
        if reader is not None:
            os.close(reader)


def test_each_new_directory_and_the_new_log_are_synced_where_their_names_stand(monkeypatch):
    """SES-43: a first log that can be lost with its directories is not durable; what is there already costs nothing."""
    real, synced = os.fsync, []

    def fsync(descriptor):
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr("os.fsync", fsync)
    session = make_session()
    log = log_path("u1", session.session_id)
    *_, root, users, user, sessions_of_user = reversed(log.parents[:4])
    assert synced == [str(path) for path in (root, users, user, log, sessions_of_user)]
    synced.clear()
    append_event(session)
    assert synced == [str(log)]
