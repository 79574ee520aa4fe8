"""What the recorder must know of a log before it appends: its end, its boundaries, its record ids, its chain value.

Kept in memory per process and believed only while the file still has the size it was left with, so a line written by
another process is read before the next append. A file of another inode is read from its beginning.
"""

import json
import os
from collections import OrderedDict
from dataclasses import dataclass, field

from sessions_app import clock
from sessions_app.events import BOUNDARIES, Event
from sessions_app.log import boundaries, chain
from sessions_app.models import Session

MOST_TAILS = 1024  # logs remembered per process; a forgotten one is read again


@dataclass(frozen=True, slots=True)
class Boundary:
    """A start or end line that is already in the log."""

    event: Event
    recorded_at: str


@dataclass(slots=True)
class LogTail:
    """The end of one log."""

    inode: int
    user_id: str
    session_id: str
    size: int = 0
    lines: int = 0
    head: str = chain.EMPTY
    torn: bytes = b""  # the bytes after the last newline
    recorded_at: str = ""
    record_ids: dict[str, str] = field(default_factory=dict)  # record_id -> recorded_at of its first line
    boundaries: dict[str, Boundary] = field(default_factory=dict)

    @property
    def is_unended(self) -> bool:
        """Whether the file ends in a line of ours that lacks nothing but its newline."""
        return _parsed(self.torn) is not None

    def tells_of(self, event: Event) -> bool:
        """Whether a line has this record_id, or is a boundary of this kind."""
        return event["record_id"] in self.record_ids or event["event"] in self.boundaries

    def take(self, data: bytes, vouched_lines: int = 0) -> None:
        """Read `data`, which follows what is known. Lines up to `vouched_lines` are in `head` already."""
        self.size += len(data)
        *lines, self.torn = (self.torn + data).split(b"\n")
        for line in lines:
            self.lines += 1
            if self.lines > vouched_lines:
                self.head = chain.step(self.head, line + b"\n")
            self._learn(line)

    def wrote(self, data: bytes, line: bytes, event: Event, recorded_at: str) -> None:
        """Follow what was just appended: `line`, behind a newline if the tail was torn."""
        if self.torn:
            self.take(data)
            return
        self.size += len(data)
        self.lines += 1
        self.head = chain.step(self.head, line)
        self._keep(event["record_id"], recorded_at)
        if event["event"] in BOUNDARIES:
            self._keep_boundary(event, recorded_at)

    def _learn(self, line: bytes) -> None:
        found = _parsed(line)
        if found is None:
            return  # an isolated fragment, or a line somebody spoiled: replay names it
        event, recorded_at = found
        self._keep(str(event["record_id"]), recorded_at)
        if event["event"] in BOUNDARIES and self._is_ours(event):
            self._keep_boundary(event, recorded_at)

    def _is_ours(self, boundary: Event) -> bool:
        return boundaries.fault(boundary, user_id=self.user_id, session_id=self.session_id) is None

    def _keep(self, record_id: str, recorded_at: str) -> None:
        if recorded_at > self.recorded_at:
            self.recorded_at = recorded_at
        self.record_ids.setdefault(record_id, recorded_at)

    def _keep_boundary(self, event: Event, recorded_at: str) -> None:
        self.boundaries.setdefault(event["event"], Boundary(event, recorded_at))


def _parsed(line: bytes) -> tuple[Event, str] | None:
    """The event of a line and its `recorded_at`, which is empty if it is no time; None if this is no line."""
    try:
        members = json.loads(line)
        event, recorded_at = members["event"], members["recorded_at"]
        event["event"], event["record_id"]  # a line has them
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return event, recorded_at if clock.is_stamp(recorded_at) else ""


class LogTails:
    """The tails this process remembers, the longest unused forgotten first. Each is used under its log's flock."""

    def __init__(self) -> None:
        self._tails: OrderedDict[str, LogTail] = OrderedDict()  # by path; every single call of it is atomic

    def current(self, path: str, descriptor: int, session: Session) -> LogTail:
        """The tail of the session's log, open as `descriptor`; from the row's word on when nothing is remembered.

        Raises OSError.
        """
        size = os.lseek(descriptor, 0, os.SEEK_END)
        try:
            self._tails.move_to_end(path)
            tail = self._tails[path]
            if tail.size == size:
                return tail
        except KeyError:
            tail = None
        inode, vouched_lines = os.fstat(descriptor).st_ino, 0
        if tail is None or tail.inode != inode or tail.size > size:
            tail = LogTail(inode, session.user_id, session.session_id, head=session.log_head)
            vouched_lines = session.log_lines
        if tail.size < size:
            self.forget(path)  # half a reading helps nobody
            with open(path, "rb") as file:
                file.seek(tail.size)
                tail.take(file.read(size - tail.size), vouched_lines)
        self._tails[path] = tail
        if len(self._tails) > MOST_TAILS:
            self._tails.popitem(last=False)
        return tail

    def forget(self, path: str) -> None:
        """Read the log anew next time: what was just written is not certain."""
        self._tails.pop(path, None)


tails = LogTails()
