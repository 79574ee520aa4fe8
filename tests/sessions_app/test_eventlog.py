"""The only writer of session logs (SES-37 to SES-47)."""

import contextlib
import errno
import json
import os
import resource
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine
from django.db import connection, transaction

from sessions_app import eventlog, events, ids, sessions
from sessions_app.errors import (
    EventTooLarge,
    ForbiddenPayload,
    Internal,
    RecorderUnavailable,
    RecordIdUsed,
    SessionAlreadyClosed,
)
from sessions_app.log import chain, logtail
from sessions_app.models import Session
from tests.factories import append_event, make_caller, make_session
from tests.logs import all_files, lines, log_path

pytestmark = pytest.mark.django_db


def test_append_writes_one_compact_line():
    """SES-38, SES-40: non-ASCII stays itself."""
    session = make_session()
    append_event(session, note="müde, 左手")

    raw = log_path("u1", session.session_id).read_bytes()
    last = raw.splitlines(keepends=True)[-1]
    assert last.endswith(b"}}\n")
    assert "müde, 左手".encode() in last
    assert json.dumps(json.loads(last), ensure_ascii=False, separators=(",", ":")).encode() + b"\n" == last
    assert list(json.loads(last)) == ["recorded_at", "event"]


def test_a_line_of_exactly_the_cap_is_written_and_one_byte_more_is_not():
    """SES-39, SES-80."""
    session = make_session()
    append_event(session, note="")
    frame = len(log_path("u1", session.session_id).read_bytes().splitlines(keepends=True)[-1])
    room = eventlog.MAX_LINE_BYTES - frame

    append_event(session, note="x" * room)
    size = log_path("u1", session.session_id).stat().st_size
    with pytest.raises(EventTooLarge):
        append_event(session, note="x" * (room + 1))
    assert len(log_path("u1", session.session_id).read_bytes().splitlines(keepends=True)[-1]) == eventlog.MAX_LINE_BYTES
    assert log_path("u1", session.session_id).stat().st_size == size


def test_a_torn_tail_is_closed_off_and_the_new_line_is_whole():
    """SES-46."""
    session = make_session()
    with log_path("u1", session.session_id).open("ab") as log:
        log.write(b'{"recorded_at":"2026-03-02T0')
    append_event(session, note="after the crash")

    raw = log_path("u1", session.session_id).read_bytes().splitlines()
    assert raw[1] == b'{"recorded_at":"2026-03-02T0'
    assert json.loads(raw[2])["event"]["note"] == "after the crash"


def test_the_same_record_id_is_refused_with_the_time_of_the_first():
    """SES-42."""
    session = make_session()
    record_id = ids.new_record_id()
    first = append_event(session, record_id=record_id)
    with pytest.raises(RecordIdUsed) as refused:
        append_event(session, record_id=record_id)
    assert refused.value.members == {"recorded_at": first.recorded_at}
    assert len(lines("u1", session.session_id)) == 2


def test_the_same_record_id_is_refused_by_a_process_that_did_not_write_it():
    """SES-42: what another process wrote is read first."""
    session = make_session()
    record_id = ids.new_record_id()
    append_event(session, record_id=record_id)
    logtail.tails.forget(str(log_path("u1", session.session_id)))
    with pytest.raises(RecordIdUsed):
        append_event(session, record_id=record_id)


def test_nothing_is_appended_after_the_end():
    """SES-35, SES-27."""
    session = make_session()
    sessions.end(session.session_id, user_id="u1", performer_id="u1", by=make_caller())
    with pytest.raises(SessionAlreadyClosed):
        append_event(session)
    assert lines("u1", session.session_id)[-1]["event"]["event"] == "session.end"


def test_a_boundary_that_is_there_already_is_handed_back():
    """SES-35."""
    session = make_session()
    recorded = eventlog.append(session, {**events.session_start(session), "record_id": ids.new_record_id()})
    assert recorded.found
    assert recorded.event == lines("u1", session.session_id)[0]["event"]
    assert len(lines("u1", session.session_id)) == 1


def test_recorded_at_does_not_fall_when_the_clock_is_set_back():
    """SES-40."""
    session = make_session()
    with time_machine.travel("2020-01-01T00:00:00Z"):
        append_event(session)
    times = [line["recorded_at"] for line in lines("u1", session.session_id)]
    assert times == sorted(times)
    assert not times[-1].startswith("2020")


@pytest.mark.parametrize("deep", [1, 31])
@pytest.mark.parametrize(
    "payload",
    [
        {"frame_data": 1},
        {"audio_payload": "x"},
        {"x": "data:image/png;base64,AAAA"},
        {"x": ["DATA:Video/mp4"]},
        {"x": "data:audio/ogg"},
        {"data:image/png;base64,AAAA": 1},
    ],
)
def test_media_is_refused_at_any_depth(payload, deep):
    """SES-47, SES-80."""
    session = make_session()
    for _ in range(deep - 1):
        payload = {"in": payload}
    with pytest.raises(ForbiddenPayload):
        append_event(session, note=payload)
    assert len(lines("u1", session.session_id)) == 1


def test_nesting_of_32_levels_is_accepted_and_33_are_refused():
    """SES-47: the event object is level 1."""
    session = make_session()
    nested: object = 0
    for _ in range(31):
        nested = [nested]
    append_event(session, note=nested)
    with pytest.raises(ForbiddenPayload):
        append_event(session, note=[nested])


def test_an_event_against_its_schema_leaves_no_trace(monkeypatch):
    """SES-29, SES-78."""
    monkeypatch.setattr(events, "SCHEMA_VERSION", "9")
    with pytest.raises(Internal):
        make_session()
    assert all_files() == []
    assert not Session.objects.exists()


def test_a_short_write_is_a_failed_append(monkeypatch):
    """SES-43, SES-32: no session exists after a failed start, an active one stays active."""
    session = make_session("u2")
    monkeypatch.setattr("os.write", lambda descriptor, data: 3)
    with pytest.raises(RecorderUnavailable):
        make_session("u1")
    with pytest.raises(RecorderUnavailable):
        sessions.end(session.session_id, user_id="u2", performer_id="u2", by=make_caller("u2"))
    assert [row.user_id for row in Session.objects.active()] == ["u2"]


def test_a_failed_fsync_is_a_failed_append(monkeypatch):
    """SES-43."""

    def fail(descriptor):
        raise OSError(errno.EIO, "gone")

    session = make_session()
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(RecorderUnavailable):
        sessions.end(session.session_id, user_id="u1", performer_id="u1", by=make_caller())
    monkeypatch.undo()
    # The line may be on disk all the same: the next end applies it instead of writing a second one (SES-34).
    sessions.end(session.session_id, user_id="u1", performer_id="u1", by=make_caller())
    assert [line["event"]["event"] for line in lines("u1", session.session_id)] == ["session.start", "session.end"]


@pytest.mark.django_db(transaction=True)
def test_32_concurrent_writers_leave_whole_lines():
    """SES-79."""
    session = make_session()

    def write(number):
        try:
            with transaction.atomic():
                append_event(Session.objects.lock(session.session_id), note=f"{number} " + "x" * 2000)
        finally:
            connection.close()

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(write, range(96)))
    recorded = lines("u1", session.session_id)
    assert len(recorded) == 97
    assert len({line["event"]["record_id"] for line in recorded}) == 97


def test_the_chain_stands_beside_the_log_and_in_the_row():
    """The value after each line, and the last one committed."""
    session = make_session()
    append_event(session)
    raw = log_path("u1", session.session_id).read_bytes().splitlines(keepends=True)
    values = log_path("u1", session.session_id).with_suffix(".chain").read_text().split()
    assert values == list(chain.values(raw))
    session.refresh_from_db()
    assert (session.log_lines, session.log_head) == (2, values[-1])


def test_a_lost_chain_file_is_made_again_by_the_next_append():
    session = make_session()
    chain_path = log_path("u1", session.session_id).with_suffix(".chain")
    chain_path.unlink()
    append_event(session)
    raw = log_path("u1", session.session_id).read_bytes().splitlines(keepends=True)
    assert chain_path.read_text().split() == list(chain.values(raw))


def test_a_chain_entry_half_written_is_written_anew_by_the_next_append():
    """What a full disk or a crash left of it must not shift what follows."""
    session = make_session()
    append_event(session)
    chain_path = log_path("u1", session.session_id).with_suffix(".chain")
    chain_path.write_bytes(chain_path.read_bytes()[:-40])
    append_event(session)
    raw = log_path("u1", session.session_id).read_bytes().splitlines(keepends=True)
    assert chain_path.read_text() == "".join(f"{value}\n" for value in chain.values(raw))


def test_a_full_disk_keeps_the_session_as_it_was(roots, settings, full_disk):
    """SES-32: start leaves no session, end leaves it active, and both work again when there is room."""
    settings.LOG_ROOT = full_disk.path
    session = make_session("u2")
    size = log_path("u2", session.session_id).stat().st_size
    append_event(session, user_id="u2", note="x" * (4096 - size % 4096 - 450))  # the end line will need a new page
    full_disk.fill()
    with pytest.raises(RecorderUnavailable):
        make_session("u1")
    with pytest.raises(RecorderUnavailable):
        sessions.end(session.session_id, user_id="u2", performer_id="u2", by=make_caller("u2"))
    assert [row.user_id for row in Session.objects.active()] == ["u2"]

    full_disk.empty()
    sessions.end(session.session_id, user_id="u2", performer_id="u2", by=make_caller("u2"))
    assert not Session.objects.active().exists()


class SmallDisk:
    """A tmpfs of 256 KiB that can be filled to the last byte."""

    def __init__(self, path):
        self.path = path

    def fill(self):
        with (self.path / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(b"x" * 4096)

    def empty(self):
        (self.path / "ballast").unlink()


class SizeLimit:
    """What a user who may not mount can have: no file of this process may grow past its first bytes."""

    def __init__(self, path):
        self.path = path
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, self._before[1]))

    def empty(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


@pytest.fixture
def full_disk(tmp_path):
    """A place for logs that can be filled and emptied."""
    path = tmp_path / "small"
    path.mkdir()
    mounted = os.geteuid() == 0 and not os.system(f"mount -t tmpfs -o size=256k tmpfs {path} 2>/dev/null")
    disk = SmallDisk(path) if mounted else SizeLimit(path)
    yield disk
    if mounted:
        os.system(f"umount -l {path}")
    else:
        disk.empty()
