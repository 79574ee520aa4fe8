"""Examining one session and mending what can be mended (SES-59): it only appends and only changes rows."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.db import DataError, IntegrityError, transaction

from sessions_app import clock, eventlog, paths, sessions
from sessions_app.kinds import DomainError
from sessions_app.log import boundaries, chaincheck, logreader, replay
from sessions_app.log.logreader import Line
from sessions_app.log.replay import Difference, Story
from sessions_app.models import Session

REPAIRER = "replay_session"
# The log cannot be written; or a line says what no row can hold.
_NOT_MENDED = (DomainError, IntegrityError, DataError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference and whether it has just been mended."""

    kind: str
    detail: str
    fails: bool
    repaired: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What was found of one session."""

    session_id: str
    user_id: str
    events: int
    state: str
    findings: Sequence[Finding]

    @property
    def agrees(self) -> bool:
        """Whether nothing that counts is left."""
        return all(found.repaired or not found.fails for found in self.findings)


@transaction.atomic
def examine(user_id: str, session_id: str, *, repair: bool = False) -> Report:
    """Compare a session's log with its rows, under the row's lock so that no act is half seen; mend if asked.

    A log that cannot be read is a difference, too.
    """
    session = Session.objects.select_for_update(no_key=True).filter(session_id=session_id).first()
    lines: list[Line] = []
    # An append that failed before its first byte left no log either; without a row nobody misses it.
    missing = "the row has no log" if session is not None else None
    try:
        path = paths.session_log_path(user_id, session_id)
        lines = list(logreader.read(path))
    except FileNotFoundError:
        pass
    except (logreader.NotALog, paths.PathRefused):
        missing = "what stands in place of the log is none"
    except OSError as error:
        missing = f"the log cannot be read: {error.strerror}"
    story = replay.fold(user_id, session_id, lines)
    found = list(_differences(story, session, path) if lines else _without_log(missing))
    return Report(
        session_id=session_id,
        user_id=user_id,
        events=sum(story.kinds.values()),
        state=story.state,
        findings=[_settle(difference, repair) for difference in found],
    )


def _settle(difference: Difference, repair: bool) -> Finding:
    detail, repaired = difference.detail, False
    if repair and difference.repair is not None:
        try:
            with transaction.atomic():
                difference.repair()
            repaired = True
        except _NOT_MENDED as error:
            detail = f"{detail}; not repaired: {error}".splitlines()[0]
    return Finding(difference.kind, detail, difference.fails, repaired)


def _without_log(why: str | None) -> Iterator[Difference]:
    if why is not None:
        yield Difference("log_missing", why)


def _differences(story: Story, session: Session | None, path: Path) -> Iterator[Difference]:
    chain_differences = list(chaincheck.differences(story.lines, path.with_suffix(".chain"), session))
    if session is None and story.start is not None:
        detail = "the log has a start, there is no row"
        yield _by_lines("row_missing", detail, story, story.user_id, partial(_insert_row, story))
    elif session is None:
        if story.kinds:  # a torn start alone is nobody's session
            yield Difference("start_missing", "the log has no start, and there is no row")
    elif session.is_active and story.end is not None:
        # A row that stood for other lines than there are now goes on betraying them.
        stands = all(difference.kind != "chain_broken" for difference in chain_differences)
        repair = partial(_apply_end, story, session, stands=stands)
        yield _by_lines("end_not_applied", "the log has an end", story, session.user_id, repair)
    yield from replay.differences(story, session)
    for difference in chain_differences:
        if difference.kind == "line_unvouched" and session is not None and session.user_id == story.user_id:
            yield Difference(difference.kind, difference.detail, repair=partial(_vouch, story, session))
        else:
            yield difference


def _by_lines(kind: str, detail: str, story: Story, owner: str, repair: Callable[[], None]) -> Difference:
    """A difference that the boundaries in the log would mend, if they can be those of this session of `owner`."""
    for event in (story.start if kind == "row_missing" else None, story.end):
        why = event and boundaries.fault(event, user_id=owner, session_id=story.session_id)
        if event is not None and why:
            return Difference(kind, f"{detail}, of which {event['event']} cannot be applied: {why}")
    return Difference(kind, detail, repair=repair)


def _insert_row(story: Story) -> None:
    """Make the row a start line stands for; without an end line the session is closed at once."""
    start = story.start
    if start is None:
        raise ValueError("no start to make a row from")
    session = Session(
        session_id=story.session_id,
        user_id=story.user_id,
        start_time=clock.parse(start["start_time"]),
        last_activity_at=clock.now(),
        start_record_id=uuid.UUID(start["record_id"]),
        opened_via="repair",
        opened_by=REPAIRER,
        performer_id=start["performer_id"],
        **{
            name: start.get(name)
            for name in ("session_notes", "training_intent_label", "device_id", "consent_given", "is_demo")
        },
        is_training_data=bool(start.get("is_training_data")),
    )
    session.save(force_insert=True)
    if story.end is not None:
        _apply_end(story, session, stands=True)
    else:
        _vouch(story, session)
        sessions.close(session, performer_id=sessions.SYSTEM, closed_by=REPAIRER, reason=Session.EndReason.REPAIR)


def _apply_end(story: Story, session: Session, *, stands: bool) -> None:
    if story.end is not None:
        sessions.apply_end(session, story.end, closed_by=REPAIRER)
    if stands:
        _vouch(story, session)


def _vouch(story: Story, session: Session) -> None:
    """Let the row stand for every whole line there is."""
    eventlog.vouch(session, [line.raw for line in story.lines if line.is_whole])
    session.save_recorded()
