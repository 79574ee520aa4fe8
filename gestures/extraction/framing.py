"""The messages between ingest and extractor, over a pipe or a socket (GES-32): length, kind, payload. Pure.

Four bytes of length (big-endian, of kind and payload), one byte of kind, the payload. JSON in OPEN, READY and ERROR,
a JPEG in FRAME, little-endian float32 values in ROW, nothing in the others.
"""

import json
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

MAX_MESSAGE_BYTES = 1_048_576  # beyond any frame; a longer claim is a broken peer, not a buffer to fill
_HEAD = struct.Struct(">IB")


class Kind(IntEnum):
    """OPEN to ABORT go to the extractor, READY to ERROR come back."""

    OPEN = 1
    FRAME = 2
    CLOSE = 3
    ABORT = 4
    READY = 17
    ROW = 18
    DONE = 19
    ERROR = 20


class Broken(Exception):
    """The peer does not speak this protocol."""


def pack(kind: Kind, payload: bytes = b"") -> bytes:
    """One message."""
    return _HEAD.pack(len(payload) + 1, kind) + payload


def document(**members: Any) -> bytes:
    """The payload of an OPEN, READY or ERROR."""
    return json.dumps(members).encode()


def members(payload: bytes) -> dict[str, Any]:
    """The object in an OPEN, READY or ERROR. Raises Broken."""
    try:
        value = json.loads(payload)
    except ValueError as error:
        raise Broken("no JSON") from error
    if not isinstance(value, dict):
        raise Broken("no JSON object")
    return value


class Unpacker:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """Take in `data`, give every message that is now whole. Raises Broken."""
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            length, kind = _HEAD.unpack_from(self._buffer)
            if not 1 <= length <= MAX_MESSAGE_BYTES or kind not in _KINDS:
                raise Broken(f"a message of kind {kind} and length {length}")
            end = _HEAD.size - 1 + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEAD.size : end])
            del self._buffer[:end]
            yield Kind(kind), payload


_KINDS = frozenset(Kind)
