"""Reading session logs back (SES-45): without a lock, naming what does not parse."""

import errno
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sessions_app.events import Event

_NO_LOGS = (errno.ELOOP, errno.ENOTDIR, errno.ENXIO)  # a link; a file for a directory; a socket
_QUOTE, _BACKSLASH = b'"\\'


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log: its number from 1, its bytes with the newline, and its parts if it parses."""

    number: int
    raw: bytes
    recorded_at: str | None = None
    event: Event | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the line ends in a newline; a last one that does not is still being written, or torn."""
        return self.raw.endswith(b"\n")

    @property
    def is_fragment(self) -> bool:
        """Whether a crash may have left it: a line but for its newline, or a proper prefix of its object (SES-46)."""
        body = self.raw.rstrip(b"\n")
        is_prefix = _is_prefix_of_an_object(body) or (not self.is_whole and _is_prefix_of_an_object(body[:-1]))
        return self.event is None and is_prefix


class NotALog(OSError):
    """Something else stands in the place of a log or of its directory, where the recorder would not write (SES-43)."""


def opened(path: Path) -> BinaryIO:
    """A log, for reading. Raises NotALog, OSError."""
    try:
        # Whoever opens a pipe waits for its writer, unless they say no.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise NotALog(*error.args) if error.errno in _NO_LOGS else error from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotALog(errno.EINVAL, "not a file", str(path))
    return os.fdopen(descriptor, "rb")


def read(path: Path) -> Iterator[Line]:
    """The lines of a log, the torn last one included. Raises NotALog, OSError."""
    with opened(path) as file:
        for number, raw in enumerate(file, start=1):
            yield _parsed(number, raw)


def _parsed(number: int, raw: bytes) -> Line:
    try:
        members = json.loads(raw)
        recorded_at, event = members["recorded_at"], members["event"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Line(number, raw)
    is_record = len(members) == 2 and isinstance(recorded_at, str) and isinstance(event, dict)
    return Line(number, raw, recorded_at, event) if is_record and raw.endswith(b"\n") else Line(number, raw)


def _is_prefix_of_an_object(body: bytes) -> bool:
    if not body.startswith(b"{"):
        return False
    depth, in_string, escaped = 0, False, False
    for byte in body:
        if escaped:
            escaped = False
        elif in_string:
            escaped, in_string = byte == _BACKSLASH, byte != _QUOTE
        elif byte == _QUOTE:
            in_string = True
        else:
            depth += (byte in b"{[") - (byte in b"}]")
            if depth == 0:
                return False
    return True
