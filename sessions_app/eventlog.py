"""Door to the session logs, and their only writer (SES-37 to SES-47): append-only JSONL beside a chain of hashes.

Beside `<session_id>.jsonl` stands `<session_id>.chain`: the chain value after each line of the log, one per line. The
value after the last committed append also stands in the session's row, so neither file can be rewritten unnoticed. The
chain file is derived, so it is not synced: a lost tail is made again.
"""

import errno
import fcntl
import json
import os
from collections.abc import Sequence
from typing import NamedTuple

import orjson
import structlog

from sessions_app import clock, events, paths
from sessions_app.errors import (
    EventTooLarge,
    ForbiddenPayload,
    Internal,
    RecorderUnavailable,
    RecordIdUsed,
    SessionAlreadyClosed,
    SessionDirMissing,
)
from sessions_app.events import Event
from sessions_app.log import chain
from sessions_app.log.logtail import LogTail, tails
from sessions_app.models import Session
from sessions_app.paths import LogPlace

MAX_LINE_BYTES = 524_288  # SES-39, newline included
_FRAME_BYTES = len('{"recorded_at":"2026-03-02T09:15:04.000Z","event":}\n')
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_FLAT = frozenset((str, int, bool, type(None)))  # the types of members that orjson tells as json does
# SES-43, and nobody waits for the reader of a pipe that stands in place of a log.
_APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_EXTENDING = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW

log = structlog.get_logger(__name__)


class Recorded(NamedTuple):
    """One line as it stands in the log; `found` when it had been there already (SES-35)."""

    event: Event
    recorded_at: str
    found: bool = False


def append(session: Session, event: Event) -> Recorded:
    """Write one line to the session's log, synced to disk, and note its chain value in `session`.

    Call it inside the transaction of the act, under the row's lock, and call `session.save_recorded` before the
    transaction ends. A boundary already in the log is handed back instead of being written twice.

    Raises EventTooLarge, ForbiddenPayload, RecordIdUsed, SessionAlreadyClosed, SessionDirMissing, RecorderUnavailable;
    Internal for an event against its schema.
    """
    encoded = _checked(session, event)
    try:
        place = paths.log_place(session.user_id, session.session_id)
        directory = paths.open_log_directory(place)
        try:
            recorded, tail = _append_in(directory, place, session, event, encoded)
        finally:
            os.close(directory)
    except FileNotFoundError as error:
        raise SessionDirMissing from error
    except (OSError, paths.PathRefused) as error:
        log.error("eventlog.append_failed", session_id=session.session_id, error=str(error))
        raise RecorderUnavailable from error
    session.record(lines=tail.lines, head=tail.head)
    return recorded


def append_start(session: Session, event: Event) -> Event:
    """Make the directory of a new session's log and write its first line; returns the event that stands in the log.

    Raises RecorderUnavailable, or Internal before anything is made.
    """
    _checked(session, event)
    try:
        paths.session_log_path(session.user_id, session.session_id, create=True)
    except (OSError, paths.PathRefused) as error:
        log.error("eventlog.directory_failed", session_id=session.session_id, error=str(error))
        raise RecorderUnavailable from error
    return _append_boundary(session, event)


def append_end(session: Session, event: Event) -> Event:
    """Write the last line of a log; returns the event that stands in the log. Raises RecorderUnavailable.

    The directory is not made again: a log that vanished is a fault to repair, not to paper over (SES-33).
    """
    return _append_boundary(session, event)


def vouch(session: Session, lines: Sequence[bytes]) -> None:
    """Let the row stand for `lines`, the whole log as an examination under the row's lock has just read it.

    `session.save_recorded` makes it last.
    """
    head = chain.EMPTY
    for head in chain.values(lines):  # noqa: B007  # the last one counts
        pass
    session.record(lines=len(lines), head=head)


def fitting(event: Event) -> bytes:
    """`event` as it will stand in a line, held to what any log accepts before any I/O.

    Raises ForbiddenPayload, EventTooLarge; Internal for what JSON cannot say.
    """
    is_flat = _FLAT.issuperset(map(type, event.values()))
    try:
        encoded = _encoded(event, is_flat=is_flat)
    except (ValueError, TypeError, RecursionError) as error:
        _refuse_forbidden(event)
        raise Internal from error
    if events.is_suspect(encoded, is_flat=is_flat):
        _refuse_forbidden(event)
    if (length := _FRAME_BYTES + len(encoded)) > MAX_LINE_BYTES:
        raise EventTooLarge(f"The line would have {length} bytes; {MAX_LINE_BYTES} are allowed.")
    return encoded


def _encoded(event: Event, *, is_flat: bool) -> bytes:
    if is_flat:  # a tenth of the time for the same bytes; but orjson has a null for NaN
        try:
            return orjson.dumps(event)
        except TypeError:
            pass  # an integer beyond 64 bits
    return _ENCODER.encode(event).encode()


def _refuse_forbidden(event: Event) -> None:
    if why := events.forbidden_payload(event):
        raise ForbiddenPayload(f"An event may not carry {why}.")


def _checked(session: Session, event: Event) -> bytes:
    try:
        events.check(event)
        if event["user_id"] != session.user_id or event["session_id"] != session.session_id:
            raise events.EventInvalid("the event names another session")
    except ValueError as error:
        log.error("eventlog.event_refused", session_id=session.session_id, error=str(error))
        raise Internal from error
    return fitting(event)


def _append_boundary(session: Session, event: Event) -> Event:
    try:
        return append(session, event).event
    except SessionDirMissing as error:
        raise RecorderUnavailable from error


def _append_in(
    directory: int, place: LogPlace, session: Session, event: Event, encoded: bytes
) -> tuple[Recorded, LogTail]:
    descriptor = os.open(place.log, _APPENDING, 0o640, dir_fd=directory)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # the second fence behind the row's lock (SES-44)
        tail = tails.current(place.path, descriptor, session)
        try:
            if tail.torn:
                _end_line(descriptor, tail)
            if tail.tells_of(event):
                _sync(descriptor, directory)  # an append that failed may have left it; whoever is told relies on it
            recorded = _found(tail, event) or _write(descriptor, directory, tail, event, encoded)
        except OSError:
            tails.forget(place.path)
            raise
        _extend_chain(directory, place, tail)
    finally:
        os.close(descriptor)
    return recorded, tail


def _write(descriptor: int, directory: int, tail: LogTail, event: Event, encoded: bytes) -> Recorded:
    """Write and sync one line."""
    recorded_at = max(clock.stamp_now(), tail.recorded_at)  # a clock set back does not reorder lines (SES-40)
    line = b'{"recorded_at":"%b","event":%b}\n' % (recorded_at.encode(), encoded)
    # A torn tail that a crashed append left is closed off, never edited away (SES-46).
    data = b"\n" + line if tail.torn else line
    _write_once(descriptor, data)
    if tail.size:
        os.fsync(descriptor)
    else:
        _sync(descriptor, directory)
    tail.wrote(data, line, event, recorded_at)
    return Recorded(event, recorded_at)


def _end_line(descriptor: int, tail: LogTail) -> None:
    """Give a line its newline if it lacks nothing else: SES-46 would make it whole, so it counts (SES-35, SES-42)."""
    if tail.is_unended:
        _write_once(descriptor, b"\n")
        tail.take(b"\n")


def _write_once(descriptor: int, data: bytes) -> None:
    if os.write(descriptor, data) != len(data):  # SES-43
        raise OSError(errno.ENOSPC, "short write")


def _sync(descriptor: int, directory: int) -> None:
    """Make a file durable, and its name too."""
    os.fsync(descriptor)
    paths.sync_directory(".", within=directory)


def _found(tail: LogTail, event: Event) -> Recorded | None:
    """The boundary of the same kind that a crashed act left behind (SES-35)."""
    boundary = tail.boundaries.get(event["event"])
    if boundary is not None:
        return Recorded(boundary.event, boundary.recorded_at, found=True)
    if events.END in tail.boundaries:
        raise SessionAlreadyClosed
    if event["record_id"] in tail.record_ids:
        raise RecordIdUsed(recorded_at=tail.record_ids[event["record_id"]])
    return None


def _extend_chain(directory: int, place: LogPlace, tail: LogTail) -> None:
    """Bring the chain file up to the log. It is derived: its loss costs nothing but the name of an altered line."""
    try:
        descriptor = os.open(place.chain, _EXTENDING, 0o640, dir_fd=directory)
        try:
            entries = os.lseek(descriptor, 0, os.SEEK_END) // chain.ENTRY_BYTES
            if entries < tail.lines:
                is_next = entries == tail.lines - 1
                missing = chain.entry(tail.head) if is_next else _missing_entries(descriptor, place.path, entries)
                os.pwrite(descriptor, missing, entries * chain.ENTRY_BYTES)  # over half an entry, if one ends the file
        finally:
            os.close(descriptor)
    except OSError as error:
        log.warning("eventlog.chain_not_extended", log=place.path, error=str(error))


def _missing_entries(descriptor: int, path: str, entries: int) -> bytes:
    last = os.pread(descriptor, chain.ENTRY_BYTES - 1, (entries - 1) * chain.ENTRY_BYTES) if entries else b""
    with open(path, "rb") as file:
        lines = [line for line in file if line.endswith(b"\n")][entries:]
    return b"".join(chain.entry(value) for value in chain.values(lines, last.decode("ascii", "replace")))
