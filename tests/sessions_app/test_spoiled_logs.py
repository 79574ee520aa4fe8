"""Logs in which somebody else has written: no act may believe, or be stopped by, what is no line of ours."""

import errno
import json
import os
import shutil

import pytest

from sessions_app import cleanup, clock, events, ids, paths, sessions
from sessions_app.errors import RecorderUnavailable, RecordIdUsed
from sessions_app.log import chain, logtail
from sessions_app.models import Session
from tests.commands import run
from tests.factories import append_event, make_caller, make_event, make_session
from tests.logs import lines, log_path

pytestmark = pytest.mark.django_db


def end(session):
    return sessions.end(
        session.session_id, user_id=session.user_id, performer_id="u1", by=make_caller("u1", "operator")
    )


def kinds(session):
    return [line["event"]["event"] for line in lines(session.user_id, session.session_id)]


def smuggle(session, event, recorded_at="2026-03-02T09:15:04.000Z"):
    """Write a line past the recorder."""
    with log_path(session.user_id, session.session_id).open("ab") as log:
        log.write(json.dumps({"recorded_at": recorded_at, "event": event}, separators=(",", ":")).encode() + b"\n")


def an_end(session, **over):
    event = events.session_end(session, at="2026-03-02T09:40:00.007Z", performer_id="u1", reason="requested")
    return {name: value for name, value in {**event, **over}.items() if value is not ...}


SPOILED = [
    {"end_time": ...},
    {"end_time": "yesterday"},
    {"end_time": "2026-02-30T09:40:00.007Z"},
    {"end_reason": ...},
    {"end_reason": "because somebody wished it"},
    {"record_id": "x"},
    {"record_id": 5},
    {"source": "somebody"},
    {"user_id": "u9"},
    {"session_id": "sess_0123456789abcdef"},
    {"session_id": None},
]


@pytest.mark.parametrize("over", SPOILED, ids=str)
@pytest.mark.parametrize("is_remembered", [True, False])
def test_an_end_line_that_is_none_of_the_session_ends_nothing(over, is_remembered):
    """SES-34, SES-35: only an end that can be applied is; the others are no reason for a 500."""
    session = make_session()
    smuggle(session, an_end(session, **over))
    if not is_remembered:
        logtail.tails.forget(str(log_path("u1", session.session_id)))
    append_event(session)
    event = end(session)
    assert (event["session_id"], event["user_id"], event["end_reason"]) == (session.session_id, "u1", "requested")
    assert lines("u1", session.session_id)[-1]["event"] == event
    assert str(Session.objects.get().end_record_id) == event["record_id"]
    assert run("replay_session", session.session_id)[0] == 1


def test_the_end_of_another_session_copied_into_a_log_ends_nothing():
    """SES-15, SES-16: nor is its record_id taken a second time."""
    other, session = make_session("u2"), make_session()
    smuggle(session, end(other))
    assert end(session)["session_id"] == session.session_id
    assert Session.objects.active().count() == 0


@pytest.mark.parametrize("over", SPOILED, ids=str)
def test_a_start_line_that_is_none_of_the_session_opens_nothing(over):
    """SES-28, SES-35: of a log found under a client's id."""
    session_id, by = "0f1b31d7-c845-4291-95d2-e70cb2ae2b7b", make_caller()
    opened = make_session(session_id=session_id, exclusive=False)
    Session.objects.all().delete()
    start = lines("u1", session_id)[0]["event"]
    log_path("u1", session_id).write_bytes(b"")
    over = {name.replace("end_time", "start_time"): value for name, value in over.items() if name != "end_reason"}
    over = over or {"start_time": None}
    smuggle(opened, {name: value for name, value in {**start, **over}.items() if value is not ...})
    session = sessions.open_implicitly(user_id="u1", by=by, via="snapshot", session_id=session_id)
    assert lines("u1", session_id)[-1]["event"]["record_id"] == str(session.start_record_id)
    assert run("replay_session", session_id)[0] == 1


def test_clean_up_goes_on_past_a_spoiled_end_line():
    """SES-56."""
    spoiled, sound = make_session(), make_session("u2")
    smuggle(spoiled, an_end(spoiled, end_time=...))
    Session.objects.update(last_activity_at=clock.parse("2026-01-01T00:00:00Z"))
    assert [closing.act for closing in cleanup.close_idle()] == ["closed", "closed"]
    assert kinds(sound) == ["session.start", "session.end"]


@pytest.mark.parametrize("over", SPOILED, ids=str)
@pytest.mark.parametrize("has_row", [True, False])
def test_repair_applies_no_spoiled_end_and_goes_on(over, has_row):
    """SES-59, SES-61: it is told, twice alike, and the other sessions are examined."""
    session, other = make_session(), make_session("u2")
    smuggle(session, an_end(session, **over))
    if not has_row:
        Session.objects.filter(pk=session.pk).delete()
    for _ in range(2):
        code, out = run("replay_session", "--all", "--repair")
        assert code == 1
        assert f"ok {other.session_id} events=1" in out
        kind = "end_not_applied" if has_row else "row_missing"
        assert [line for line in out if line.startswith(f"differs {session.session_id} {kind} ")]
    assert Session.objects.filter(status="active").count() == 1 + has_row


def test_an_end_whose_record_id_is_taken_stops_neither_clean_up_nor_repair():
    """SES-56, SES-59: no row may have it a second time."""
    taken = end(make_session("u2"))["record_id"]
    session, other = make_session(), make_session("u3")
    smuggle(session, an_end(session, record_id=taken))
    code, out = run("replay_session", "--all", "--repair")
    assert code == 1
    assert f"ok {other.session_id} events=1" in out
    assert [line for line in out if line.startswith(f"differs {session.session_id} end_not_applied ")]
    Session.objects.update(last_activity_at=clock.parse("2026-01-01T00:00:00Z"))
    assert sorted(closing.act for closing in cleanup.close_idle()) == ["closed", "failed"]


def test_repair_goes_on_past_a_log_that_cannot_be_written(monkeypatch):
    """SES-59, SES-61: told, not repaired; the other sessions are examined."""
    session, other = make_session(), make_session("u2")
    Session.objects.filter(pk=session.pk).delete()
    monkeypatch.setattr("os.write", lambda descriptor, data: 3)
    code, out = run("replay_session", "--all", "--repair")
    assert code == 1
    assert f"ok {other.session_id} events=1" in out
    assert [line for line in out if line.startswith(f"differs {session.session_id} row_missing ")]
    assert not Session.objects.filter(pk=session.pk).exists()


@pytest.mark.parametrize(
    "over",
    [
        {"start_time": "x"},
        {"record_id": 5},
        {"is_demo": "no"},
        {"session_notes": ["x"]},
        {"session_notes": "\0"},
        {"training_intent_label": "x" * 129},
        {"device_id": "../x"},
    ],
)
def test_repair_makes_no_row_from_a_spoiled_start(over):
    """SES-59."""
    session = make_session()
    path = log_path("u1", session.session_id)
    start = lines("u1", session.session_id)[0]["event"]
    Session.objects.all().delete()
    path.write_bytes(b"")
    smuggle(session, {**start, **over})
    code, out = run("replay_session", "--all", "--repair")
    assert code == 1
    assert [line for line in out if line.startswith(f"differs {session.session_id} row_missing ")]
    assert not Session.objects.exists()


def test_repair_lets_no_row_stand_for_a_log_that_is_not_what_was_written():
    """Only the row betrays a log and a chain that were rewritten together; applying a forged end leaves it so."""
    session = make_session()
    append_event(session, note="one")
    path = log_path("u1", session.session_id)
    path.write_bytes(path.read_bytes().replace(b"one", b"two"))
    smuggle(session, an_end(session))
    raw = path.read_bytes().splitlines(keepends=True)
    path.with_suffix(".chain").write_text("".join(f"{value}\n" for value in chain.values(raw)))
    for _ in range(2):
        code, out = run("replay_session", session.session_id, "--repair")
        assert code == 1
        assert [line for line in out if " chain_broken " in line]


@pytest.mark.parametrize("kind", ["note.added", "session.end"])
def test_repair_mends_no_row_by_a_log_in_another_users_directory(kind):
    """SES-59, SES-62: it is told that the path is not the row's; what the row's own log says goes for the row."""
    session = make_session()
    copy = log_path("u2", session.session_id)
    copy.parent.mkdir(parents=True)
    shutil.copyfile(log_path("u1", session.session_id), copy)
    foreign = make_event(session) if kind == "note.added" else an_end(session)
    line = {"recorded_at": "2026-03-02T09:15:04.000Z", "event": {**foreign, "user_id": "u2"}}
    with copy.open("ab") as log:
        log.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
    before = Session.objects.values().get()
    code, out = run("replay_session", "--all", "--repair")
    assert code == 1
    assert f"ok {session.session_id} events=1" in out
    assert f"differs {session.session_id} field_mismatch user_id differs between path and row" in out
    assert Session.objects.values().get() == before


@pytest.mark.parametrize(
    "recorded_at", [None, 5, "zzz", 'Z","event":{}', "2026-99-99T99:99:99.999Z", {"a": 1}], ids=str
)
def test_a_recorded_at_that_is_no_time_is_not_carried_on(recorded_at):
    """SES-40."""
    session = make_session()
    smuggle(session, make_event(session), recorded_at)
    recorded = append_event(session)
    assert recorded.recorded_at <= clock.stamp_now()
    assert clock.parse(lines("u1", session.session_id)[-1]["recorded_at"])


def without_its_newline(monkeypatch, act):
    """Let `act` write all of its line but the last byte."""
    write = os.write
    monkeypatch.setattr("os.write", lambda descriptor, data: write(descriptor, data[:-1]))
    with pytest.raises(RecorderUnavailable):
        act()
    monkeypatch.undo()


def test_a_line_that_lacks_its_newline_alone_counts(monkeypatch):
    """SES-42, SES-46: closed off it is a line like any other, so its record_id is used."""
    session, record_id = make_session(), ids.new_record_id()
    without_its_newline(monkeypatch, lambda: append_event(session, record_id=record_id))
    assert run("replay_session", session.session_id)[0] == 0  # a torn last line fails nobody (SES-59)
    with pytest.raises(RecordIdUsed):
        append_event(session, record_id=record_id)
    append_event(session)
    assert kinds(session) == ["session.start", "note.added", "note.added"]
    assert run("replay_session", session.session_id) == (0, [f"ok {session.session_id} events=3"])


def test_an_end_that_lacks_its_newline_alone_is_applied(monkeypatch):
    """SES-27, SES-34: there is no second one."""
    session = make_session()
    without_its_newline(monkeypatch, lambda: end(session))
    end(session)
    assert kinds(session) == ["session.start", "session.end"]
    assert run("replay_session", session.session_id) == (0, [f"ok {session.session_id} events=2"])


def test_a_start_torn_by_a_crash_is_told_and_does_not_fail():
    """SES-34, SES-59: no row says that there was a start, and nobody was told of one."""
    session = make_session()
    Session.objects.all().delete()
    path = log_path("u1", session.session_id)
    path.write_bytes(path.read_bytes()[:100])
    path.with_suffix(".chain").unlink()
    code, out = run("replay_session", "--all", "--repair")
    assert (code, len(out)) == (0, 1)
    assert "unreadable_line" in out[0]


def test_a_line_found_is_on_the_disk_before_anybody_is_told(monkeypatch):
    """SES-31, SES-49: it may be what an append left whose sync failed."""
    session, record_id = make_session(), ids.new_record_id()
    append_event(session, record_id=record_id)
    synced, fsync = [], os.fsync

    def noted(descriptor):
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", noted)
    path = log_path("u1", session.session_id)
    with pytest.raises(RecordIdUsed):
        append_event(session, record_id=record_id)
    assert synced == [str(path), str(path.parent)]
    synced.clear()
    smuggle(session, an_end(session))
    end(session)
    assert synced == [str(path), str(path.parent)]


def test_a_directory_that_vanishes_under_a_start_is_a_failed_append(monkeypatch):
    """SES-32: not the 409 of SES-49."""
    make = paths.session_log_path

    def made_and_gone(*names, **options):
        path = make(*names, **options)
        shutil.rmtree(path.parent)
        return path

    monkeypatch.setattr(paths, "session_log_path", made_and_gone)
    with pytest.raises(RecorderUnavailable):
        make_session()
    assert not Session.objects.exists()


@pytest.mark.parametrize(("suffix", "kind"), [(".jsonl", "log_missing"), (".chain", "chain_broken")])
@pytest.mark.parametrize("has_row", [True, False])
def test_what_cannot_be_read_is_told_and_the_others_are_examined(suffix, kind, has_row, monkeypatch):
    """SES-61: an unreadable root is exit 2, one unreadable log is not; nor does it count as sound."""
    session, other = make_session(), make_session("u2")
    if not has_row:
        Session.objects.filter(pk=session.pk).delete()
    real = os.open

    def opened(path, flags, *mode, **options):
        if str(path).endswith(f"{session.session_id}{suffix}"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *mode, **options)

    monkeypatch.setattr("os.open", opened)
    code, out = run("replay_session", "--all")
    assert code == 1
    assert f"ok {other.session_id} events=1" in out
    [told] = [line for line in out if line.startswith(f"differs {session.session_id} {kind} ")]
    assert told.endswith("cannot be read: Permission denied")


def test_a_link_in_place_of_a_log_without_a_row_is_told():
    """SES-62: it is no empty log."""
    path = log_path("u1", make_session().session_id)
    Session.objects.all().delete()
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))
    code, out = run("replay_session", "--all")
    assert (code, len(out)) == (1, 1)
    assert "in place of the log" in out[0]


@pytest.mark.parametrize("what", ["file for a directory", "socket"])
def test_what_stands_in_the_way_to_a_log_is_told_and_the_others_are_examined(what):
    """SES-61."""
    session, other = make_session(), make_session("u2")
    path = log_path("u1", session.session_id)
    shutil.rmtree(path.parent)
    if what == "socket":
        path.parent.mkdir()
        os.mknod(path, 0o600 | 0o140000)
    else:
        path.parent.write_text("")
    code, out = run("replay_session", "--all")
    assert (code, len(out)) == (1, 2)
    assert f"ok {other.session_id} events=1" in out
    assert [line for line in out if line.startswith(f"differs {session.session_id} log_missing ")]
