"""What a repair is: a function that tells of each thing it found, and how one such thing is mended (POD-69)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog
from django.db import DatabaseError

from routing.pod import pod_moves
from sessions_app.kinds import DomainError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that was done: what to call it, to which session, why, and whether it failed."""

    act: str
    session_id: str
    reason: str
    failed: bool = False


Repair = Callable[[bool], Iterator[Act]]


def attempt(
    act: str, session_id: str, reason: str, dry_run: bool, repair: Callable[[], bool], *, asks: bool = False
) -> Iterator[Act]:
    """Do one repair; nothing is told of one that found nothing left to do. With `asks` it is called in dry runs too."""
    if dry_run and not asks:
        yield Act(act, session_id, reason)
        return
    try:
        if repair():
            log.info("pod.repaired", act=act, session_id=session_id, reason=reason)
            yield Act(act, session_id, reason)
    except (DomainError, DatabaseError, pod_moves.Overtaken) as error:
        log.warning("pod.not_repaired", act=act, session_id=session_id, reason=reason, error=repr(error))
        yield Act(act, session_id, reason, failed=True)
