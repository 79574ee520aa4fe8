"""Whether a session log is still what was written: its lines against the chain file and against the row."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from sessions_app.log import chain, logreader
from sessions_app.log.logreader import Line
from sessions_app.log.replay import Difference
from sessions_app.models import Session


def differences(lines: Sequence[Line], chain_path: Path, session: Session | None) -> Iterator[Difference]:
    """The first altered, removed or inserted line, else what chain file or row do not vouch for."""
    raw = [line.raw for line in lines if line.is_whole]
    values = list(chain.values(raw))
    try:
        entries = _entries(chain_path, values)
    except logreader.NotALog:
        entries = values
        yield Difference("chain_broken", "what stands in place of the chain file is none")
    except OSError as error:
        entries = values
        yield Difference("chain_broken", f"the chain file cannot be read: {error.strerror}")
    broken = next((n for n, (value, entry) in enumerate(zip(values, entries, strict=False)) if value != entry), None)
    if broken is not None:
        yield Difference("chain_broken", _what_happened(broken, raw, entries))
    elif len(entries) > len(values):
        yield Difference("chain_broken", f"line {len(values) + 1} removed: {len(entries)} lines were written")
    elif len(entries) < len(values):
        yield Difference("chain_short", f"the chain file ends after line {len(entries)}", fails=False)
    if session is not None and broken is None:
        yield from _against_row(values, session)


def _entries(path: Path, expected: Sequence[str]) -> Sequence[str]:
    """What stands in the chain file, without the half of an expected entry that a crash or a full disk left."""
    try:
        with logreader.opened(path) as file:
            text = file.read().decode("ascii", "replace")
    except FileNotFoundError:
        return []
    entries = text.split("\n")
    half = entries.pop()  # nothing, if the last entry is whole
    is_torn = len(entries) < len(expected) and expected[len(entries)].startswith(half)
    return entries if is_torn or not half else [*entries, half]


def _what_happened(at: int, raw: Sequence[bytes], entries: Sequence[str]) -> str:
    """Name the first line that is not what was written; `at` counts from 0."""
    before = entries[at - 1] if at else chain.EMPTY
    if at + 1 < len(raw) and chain.step(before, raw[at + 1]) == entries[at]:
        return f"line {at + 1} inserted"
    follows = at + 1 < len(entries) and chain.step(entries[at], raw[at]) == entries[at + 1]
    if follows or len(raw) < len(entries):
        return f"line {at + 1} removed"
    return f"line {at + 1} altered"


def _against_row(values: Sequence[str], session: Session) -> Iterator[Difference]:
    vouched = session.log_lines
    if vouched > len(values):
        yield Difference("chain_broken", f"line {len(values) + 1} removed: the row vouches for {vouched} lines")
    elif vouched and values[vouched - 1] != session.log_head:
        yield Difference("chain_broken", f"a line up to line {vouched} is not the one the row vouches for")
    elif len(values) > vouched:
        yield Difference("line_unvouched", f"no committed act vouches for line {vouched + 1} and what follows")
