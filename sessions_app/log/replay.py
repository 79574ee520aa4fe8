"""Folding a session's log and holding it against the row (SES-58, SES-59). Nothing here writes.

Other apps register a `Replayer` for their own kinds of events, so that the command imports none of them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sessions_app import clock, events
from sessions_app.events import Event
from sessions_app.log.logreader import Line
from sessions_app.models import Session


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement between log and rows; `fails` is False for what is only worth telling."""

    kind: str
    detail: str
    fails: bool = True
    repair: Callable[[], None] | None = None  # mends it, in a transaction that has locked the row


@dataclass(frozen=True, slots=True)
class Story:
    """What a log implies: a pure function of its lines."""

    user_id: str  # from the path
    session_id: str  # from the path
    lines: Sequence[Line]
    start: Event | None = None
    end: Event | None = None
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def state(self) -> str:
        """`active`, `closed`, or `unknown` without a start."""
        if self.end is not None:
            return "closed"
        return "active" if self.start is not None else "unknown"

    def of_kind(self, *kinds: str) -> Iterator[Line]:
        """The lines of these kinds, in order."""
        return (line for line in self.lines if line.event is not None and line.event.get("event") in kinds)


Replayer = Callable[[Story, Session | None], Iterable[Difference]]
_replayers: dict[str, Replayer] = {}


def register(name: str, replayer: Replayer) -> None:
    """Let `replayer` compare the lines and rows of its app's own kinds; called once per process at start."""
    _replayers[name] = replayer


def fold(user_id: str, session_id: str, lines: Sequence[Line]) -> Story:
    """The story `lines` tell."""
    start = end = None
    kinds: Counter[str] = Counter()
    for line in lines:
        if line.event is None:
            continue
        kind = str(line.event.get("event"))
        kinds[kind] += 1
        if kind == events.START and start is None:
            start = line.event
        elif kind == events.END and end is None:
            end = line.event
    return Story(user_id, session_id, lines, start, end, kinds)


def differences(story: Story, session: Session | None) -> Iterator[Difference]:
    """Every disagreement inside the log, and between the log and the row; the row-mending ones carry no repair yet."""
    yield from _unreadable(story)
    yield from _duplicates(story)
    yield from _order(story)
    yield from _strangers(story)
    if session is not None:
        yield from _boundaries(story, session)
        yield from _fields(story, session)
    for replayer in _replayers.values():
        yield from replayer(story, session)


def _unreadable(story: Story) -> Iterator[Difference]:
    for line in story.lines:
        if line.event is None:
            what = "a torn fragment" if line.is_fragment else "does not parse"
            yield Difference("unreadable_line", f"line {line.number}: {what}", fails=not line.is_fragment)


def _duplicates(story: Story) -> Iterator[Difference]:
    for kind in events.BOUNDARIES:
        if story.kinds[kind] > 1:
            yield Difference("duplicate_event", f"{story.kinds[kind]} lines of {kind}")
    seen: dict[str, int] = {}
    for line in story.lines:
        if line.event is not None:
            first = seen.setdefault(str(line.event.get("record_id")), line.number)
            if first != line.number:
                yield Difference("duplicate_event", f"line {line.number} repeats the record_id of line {first}")


def _order(story: Story) -> Iterator[Difference]:
    readable = [line for line in story.lines if line.event is not None]
    kinds = [str(line.event.get("event")) for line in readable if line.event is not None]
    if events.START in kinds:
        for line in readable[: kinds.index(events.START)]:
            yield Difference("order", f"line {line.number} stands before the start")
    if events.END in kinds:
        for line in readable[kinds.index(events.END) + 1 :]:
            yield Difference("order", f"line {line.number} stands after the end")


def _strangers(story: Story) -> Iterator[Difference]:
    """Lines that name another session than the path."""
    for line in story.lines:
        if line.event is None:
            continue
        for name in ("user_id", "session_id"):
            if line.event.get(name) != getattr(story, name):
                yield Difference("field_mismatch", f"line {line.number}: {name} is not the path's")


def _boundaries(story: Story, session: Session) -> Iterator[Difference]:
    if story.start is None:
        yield Difference("start_missing", "the row has a start, the log has none")
    if story.end is None and not session.is_active:
        yield Difference("end_missing", "the row is closed, the log has no end")


def _fields(story: Story, session: Session) -> Iterator[Difference]:
    expected: dict[str, tuple[Event | None, dict[str, Any]]] = {
        "start": (story.start, events.session_start(session)),
        "end": (story.end if not session.is_active else None, _end_of(session)),
    }
    for boundary, (line, row) in expected.items():
        for name in row if line is not None else ():
            if line is not None and line.get(name) != row[name]:
                yield Difference("field_mismatch", f"{boundary}: {name} differs between line and row")
    if story.user_id != session.user_id:
        yield Difference("field_mismatch", "user_id differs between path and row")


def _end_of(session: Session) -> dict[str, Any]:
    return {
        "record_id": str(session.end_record_id),
        "end_time": clock.stamp(session.end_time) if session.end_time else None,
        "end_reason": session.end_reason,
    }
