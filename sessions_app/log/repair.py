"""Examining one session and mending what can be mended (SES-59): it only appends and only changes rows."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction

from sessions_app import clock, eventlog, paths, sessions
from sessions_app.log import chaincheck, logreader, replay
from sessions_app.log.replay import Difference, Story
from sessions_app.models import Session

REPAIRER = "replay_session"


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

    Raises OSError when the log cannot be read, and what an append raises.
    """
    session = Session.objects.select_for_update(no_key=True).filter(session_id=session_id).first()
    missing = "the row has no log"
    try:
        path = paths.session_log_path(user_id, session_id)
        lines = list(logreader.read(path))
    except FileNotFoundError:
        lines = []
    except (logreader.NotALog, paths.PathRefused):
        lines, missing = [], "what stands in place of the log is none"
    story = replay.fold(user_id, session_id, lines)
    # An append that failed before its first byte left no log either.
    found = list(_differences(story, session, path) if lines else _without_log(session, missing))
    return Report(
        session_id=session_id,
        user_id=user_id,
        events=sum(story.kinds.values()),
        state=story.state,
        findings=[_settle(difference, repair) for difference in found],
    )


def _settle(difference: Difference, repair: bool) -> Finding:
    mend = difference.repair if repair else None
    if mend is not None:
        mend()
    return Finding(difference.kind, difference.detail, difference.fails, repaired=mend is not None)


def _without_log(session: Session | None, why: str) -> Iterator[Difference]:
    if session is not None:
        yield Difference("log_missing", why)


def _differences(story: Story, session: Session | None, path: Path) -> Iterator[Difference]:
    chain_differences = list(chaincheck.differences(story.lines, path.with_suffix(".chain"), session))
    if session is None and story.start is not None:
        yield Difference("row_missing", "the log has a start, there is no row", repair=lambda: _insert_row(story))
    elif session is None:
        yield Difference("start_missing", "the log has no start, and there is no row")
    elif session.is_active and story.end is not None:
        yield Difference("end_not_applied", "the log has an end", repair=lambda: _apply_end(story, session))
    yield from replay.differences(story, session)
    for difference in chain_differences:
        if difference.kind == "line_unvouched" and session is not None:
            yield Difference(difference.kind, difference.detail, repair=lambda: _vouch(story, session))
        else:
            yield difference


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
        _apply_end(story, session)
    else:
        _vouch(story, session)
        sessions.close(session, performer_id=sessions.SYSTEM, closed_by=REPAIRER, reason=Session.EndReason.REPAIR)


def _apply_end(story: Story, session: Session) -> None:
    if story.end is not None:
        sessions.apply_end(session, story.end, closed_by=REPAIRER)
    _vouch(story, session)


def _vouch(story: Story, session: Session) -> None:
    """Let the row stand for every whole line there is."""
    eventlog.vouch(session, [line.raw for line in story.lines if line.is_whole])
    session.save_recorded()
