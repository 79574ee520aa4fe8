"""The chain of hashes that makes a session log tamper-evident. Pure.

The value after line n is SHA-256 over the value after line n-1 (64 hex digits, none before the first line) and the
bytes of line n with its newline. Nobody can alter, insert or remove a line without changing every value from there on.
"""

import hashlib
from collections.abc import Iterable, Iterator

EMPTY = ""
ENTRY_BYTES = 65  # one value and a newline: entry n of a chain file begins at (n - 1) * 65


def step(value: str, line: bytes) -> str:
    """The chain value after `line` (its newline included), 64 lower-case hex digits."""
    return hashlib.sha256(value.encode() + line).hexdigest()


def values(lines: Iterable[bytes], start: str = EMPTY) -> Iterator[str]:
    """The chain value after each of `lines`."""
    value = start
    for line in lines:
        value = step(value, line)
        yield value


def entry(value: str) -> bytes:
    """`value` as it stands in a chain file."""
    return value.encode() + b"\n"
