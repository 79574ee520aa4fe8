"""The state of a session: one verb writes it, whoever asks and through whichever door (STA-62 to STA-64)."""

import datetime as dt
from collections.abc import Iterable, Sequence
from functools import partial

import structlog
from django.conf import settings
from django.db import Error, transaction

from sessions_app import broadcast, clock
from sessions_app.access.auth import Caller
from sessions_app.errors import SessionNotFound
from sessions_app.kinds import DomainError
from sessions_app.models import Session, State
from sessions_app.state import known, statestore
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
        transaction.on_commit(batch.remember)
        _tell(results)
    return results


def commit_optimistically(operations: Sequence[Operation]) -> list[Outcome | None]:
    """Write without a lock what the process's memory suffices for, by one statement that is its own transaction.

    None for each operation that did not come about so: it is for commit(). That is every refusal, repeat and answer
    without a version, and every session whose state another process has changed. Operations on one session go together
    and in order. Raises what the database raises if nobody can know whether they were written.
    """
    places: dict[str, list[int]] = {}
    for place, operation in enumerate(operations):
        places.setdefault(operation.session_id, []).append(place)
    batch = Batch.remembered(places)
    outcomes = {name: batch.attempt([operations[place] for place in places[name]]) for name in places}
    results: list[Outcome | None] = [None] * len(operations)
    written = batch.save_unlocked()
    for name, made in outcomes.items():
        if name in written:
            for place, outcome in zip(places[name], made or (), strict=True):
                results[place] = outcome
    _tell(results)
    known.forget(name for name, made in outcomes.items() if made and name not in written)
    try:
        batch.tidy()
    except Error as error:
        log.warning("state.not_tidied", sessions=len(written), error=str(error))  # what was written stands
    batch.remember()
    return results


def _tell(results: Sequence[Result | None]) -> None:
    """Let the new versions leave as frames once they are committed (STA-63)."""
    made = [result for result in results if isinstance(result, Outcome) and result.version and not result.duplicate]
    if made:
        transaction.on_commit(partial(broadcast.versions_committed, made), robust=True)


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
