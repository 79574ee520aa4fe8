"""Closing what nobody uses any more (SES-53 to SES-56), and the sweeps that other nouns and apps add to it."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction

from sessions_app import clock, sessions, snapshots
from sessions_app.access import logins, revocations
from sessions_app.kinds import DomainError
from sessions_app.models import Session, State
from sessions_app.state import idempotency

log = structlog.get_logger(__name__)

# Idle limits by the door that opened the session; a door not named here closes its own, or leaves them open.
LIMITS_BY_DOOR = {"sessions.start": "SESSION_TIMEOUT_SECONDS"}


@dataclass(frozen=True, slots=True)
class Closing:
    """What became of one idle session: `closed`, `would-close` or `failed`."""

    act: str
    session_id: str
    user_id: str
    idle_s: int


Sweep = Callable[[bool], Iterator[str]]  # dry_run -> one line for each act
_sweeps: dict[str, Sweep] = {}


def register(name: str, sweep: Sweep) -> None:
    """Let `cleanup_sessions` run `sweep` too; called once per process at start."""
    _sweeps[name] = sweep


def sweep(*, dry_run: bool) -> Iterator[str]:
    """Erase what the spine keeps only for a time, then run every registered sweep."""
    if not dry_run:
        yield from _erase_expired()
    for one in _sweeps.values():
        yield from one(dry_run)


def close_idle(*, older_than_s: int | None = None, dry_run: bool = False) -> Iterator[Closing]:
    """Close each idle active session in a transaction of its own, the longest idle first (SES-56).

    `older_than_s` replaces the idle limit of every kind of session.
    """
    for session_id, limit_s in _candidates(older_than_s):
        closing = _close_one(session_id, limit_s, dry_run)
        if closing is not None:
            yield closing


def _erase_expired() -> Iterator[str]:
    at = clock.now()
    counts = {
        "states": snapshots.sweep(),  # STA-59
        "answers": idempotency.forget(at),  # STA-55
        "logins": logins.sweep(at),
        "revocations": revocations.sweep(at),
    }
    yield from (f"erased {count} {what}" for what, count in counts.items() if count)


def _candidates(older_than_s: int | None) -> list[tuple[str, int]]:
    active = Session.objects.active().order_by("last_activity_at")
    if older_than_s is not None:
        idle = active.filter(last_activity_at__lte=clock.now() - dt.timedelta(seconds=older_than_s))
        return [(session_id, older_than_s) for session_id in idle.values_list("session_id", flat=True)]
    found: list[tuple[str, int]] = []
    for door, setting in LIMITS_BY_DOOR.items():
        limit_s = int(getattr(settings, setting))
        idle = active.filter(opened_via=door, last_activity_at__lte=clock.now() - dt.timedelta(seconds=limit_s))
        found += [(session_id, limit_s) for session_id in idle.values_list("session_id", flat=True)]
    return found


def _close_one(session_id: str, limit_s: int, dry_run: bool) -> Closing | None:
    """None when another process has it, or somebody has come back to it."""
    with transaction.atomic():
        # SKIP LOCKED: several hosts share the work, and a session in use is not idle.
        rows = Session.objects.active().select_for_update(skip_locked=True, no_key=True)
        session = rows.filter(session_id=session_id).first()
        if session is None:
            return None
        idle_s = int((clock.now() - _last_act(session)).total_seconds())
        if idle_s < limit_s:
            return None
        if dry_run:
            return Closing("would-close", session_id, session.user_id, idle_s)
        try:
            with transaction.atomic():
                sessions.close(
                    session,
                    performer_id=sessions.SYSTEM,
                    closed_by="cleanup_sessions",
                    reason=Session.EndReason.TIMEOUT,
                )
        except (DomainError, IntegrityError) as error:
            log.warning("session.close_failed", session_id=session_id, error=str(error))
            return Closing("failed", session_id, session.user_id, idle_s)
        return Closing("closed", session_id, session.user_id, idle_s)


def _last_act(session: Session) -> dt.datetime:
    """When somebody last acted within a session whose row is locked; until the transaction ends no write follows.

    A write to a state holds no lock of the session and is noted after it, unless somebody else holds the row (SES-54).
    """
    states = State.objects.select_for_update(no_key=True).filter(pk=session.pk)
    return max([session.last_activity_at, *states.values_list("updated_at", flat=True)])
