"""The state of a session: one verb writes it, whoever asks and through whichever door (STA-62 to STA-64)."""

import datetime as dt
from collections.abc import Iterable, Sequence
from functools import partial

import structlog
from django.conf import settings
from django.db import transaction

from sessions_app import broadcast, clock
from sessions_app.access.auth import Caller
from sessions_app.errors import SessionNotFound
from sessions_app.kinds import DomainError
from sessions_app.models import Session, State
from sessions_app.state import statestore
from sessions_app.state.batch import Batch
from sessions_app.state.operations import Operation, Outcome
from sessions_app.state.rows import Found
from sessions_app.state.state_errors import SnapshotExpired, SnapshotNotFound
from sessions_app.state.versions import Snapshot

Result = Outcome | DomainError

log = structlog.get_logger(__name__)


def commit(operations: Sequence[Operation]) -> list[Result]:
    """Write many operations in one transaction; returns, in their order, what came of each.

    Operations on one session are done in the given order, one version each; a refused one harms no other. If the
    transaction itself fails this raises, and nothing was written. Frames leave after the commit (STA-63).
    """
    results: list[Result] = [SessionNotFound()] * len(operations)
    with transaction.atomic():
        batch = Batch.locked(operations)
        # Session by session: every process then opens new sessions in one order.
        for index in sorted(range(len(operations)), key=lambda index: operations[index].session_id):
            try:
                results[index] = batch.perform(operations[index])
            except DomainError as error:
                results[index] = error
        batch.save()
        # Robust: after a defect here the committer would write everything again.
        transaction.on_commit(batch.remember, robust=True)
        transaction.on_commit(partial(tell, results), robust=True)
    return results


def tell(results: Iterable[Result | None]) -> None:
    """Let the new versions among what was committed leave as frames (STA-63); a failure does not undo them."""
    made = [result for result in results if isinstance(result, Outcome) and result.version and not result.duplicate]
    try:
        if made:
            broadcast.versions_committed(made)
    except Exception as error:
        log.error("state.not_told", versions=len(made), exc_info=error)


def current(session_id: str, *, by: Caller) -> Snapshot:
    """The state of a session the caller may see. Raises SessionNotFound, SnapshotNotFound, SnapshotExpired."""
    return visible(statestore.read(session_id), by=by)


def visible(found: Found | None, *, by: Caller) -> Snapshot:
    """What the caller may see of what was found. Raises SessionNotFound, SnapshotNotFound, SnapshotExpired."""
    if found is None or not by.may_act_for(found.user_id):
        raise SessionNotFound
    if found.snapshot is None:
        raise SnapshotNotFound
    if found.snapshot.expires_at <= clock.now():
        raise SnapshotExpired
    return found.snapshot


def held(session_id: str) -> Snapshot | None:
    """The state as a socket sees it: None without one, or once it has expired (DEV-39)."""
    return held_each([session_id]).get(session_id)


def held_each(session_ids: Iterable[str]) -> dict[str, Snapshot]:
    """The same for many sessions; those without a state are left out."""
    states = [found.snapshot for found in statestore.read_each(session_ids) if found.snapshot]
    return {state.session_id: state for state in states if state.expires_at > clock.now()}


def sweep() -> int:
    """Erase states, with their history, that expired as long ago as they lived (STA-59); returns how many."""
    at = clock.now() - dt.timedelta(seconds=settings.SNAPSHOT_TTL_S)
    erased = 0
    for session_id in State.objects.filter(expires_on__lte=at.date(), expires_at__lte=at).values_list("pk", flat=True):
        with transaction.atomic():
            Session.objects.lock(session_id)  # a write may have begun it anew meanwhile
            count, _ = State.objects.filter(pk=session_id, expires_at__lte=at).delete()
            if count:
                statestore.forget_log(session_id)
            erased += count
    return erased
