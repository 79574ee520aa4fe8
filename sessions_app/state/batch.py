"""The writes of several callers on what their sessions hold (STA-62 to STA-64): decided in memory, written once.

The order of checks is that of STA-8, from the session's visibility on. snapshots.py says when a batch holds locks and
when it trusts the process's memory.
"""

import datetime as dt
from collections.abc import Container, Iterable, Mapping, Sequence

import orjson
from django.conf import settings
from django.db import IntegrityError

from sessions_app import clock, ids, prepared, sessions
from sessions_app.errors import SessionAlreadyClosed, SessionNotFound
from sessions_app.kinds import DomainError
from sessions_app.models import ACTIVITY_NOTED_EVERY
from sessions_app.prepared import Query
from sessions_app.state import answers, known, patches, preconditions, statestore
from sessions_app.state.held import Held, Moment, NotRemembered
from sessions_app.state.idempotency import Memory
from sessions_app.state.operations import Operation, Outcome
from sessions_app.state.state_errors import OpIdReused, SnapshotExpired, SnapshotNotFound, VersionConflict
from sessions_app.state.versions import Version
from sessions_app.state.writes import DirectWrite, Replace, Resolve

OpKey = tuple[str, str | None, str | None]  # session, device, op_id


class Batch:
    """Some sessions, and what is made of them at one moment."""

    def __init__(
        self, held: Mapping[str, Held], *, at: dt.datetime, memory: Memory, made_by_op: Mapping[OpKey, Version]
    ) -> None:
        self.held = dict(held)
        self.now = Moment(at, at + dt.timedelta(seconds=settings.SNAPSHOT_TTL_S))
        self._memory = memory
        self._made_by_op = dict(made_by_op)

    @classmethod
    def locked(cls, operations: Sequence[Operation]) -> "Batch":
        """The sessions of these operations as they stand, locked until the transaction ends."""
        # Keys are locked before sessions, in every process, so that no two batches wait for each other.
        memory = Memory((operation.repeat for operation in operations if operation.repeat), clock.now())
        held = _load({operation.session_id for operation in operations}, operations)
        made_by_op = _versions_by_op(operations)
        # Taken under the locks, so that times rise with versions.
        return cls(held, at=clock.now(), memory=memory, made_by_op=made_by_op)

    @classmethod
    def remembered(cls, session_ids: Iterable[str]) -> "Batch":
        """Those of the sessions that the process has in memory; no lock is held, and they may be old."""
        at = clock.now()
        found = [state for name in session_ids if (state := known.find(name)) and state.snapshot.last_updated <= at]
        held = {state.snapshot.session_id: Held.again(state) for state in found}
        return cls(held, at=at, memory=Memory((), at), made_by_op={})

    def perform(self, operation: Operation) -> Outcome:
        """Do one operation on what the earlier ones left. Raises DomainError; the session is then as before."""
        held = self._visible(operation)
        if operation.repeat and (answer := self._memory.recall(operation.repeat)):
            return Outcome(operation=operation, answer=answer)
        if operation.op_id and (version := self._made_before(operation)):
            return Outcome(operation=operation, version=version, duplicate=True)
        held = _writable(held, operation, self.now.at)
        if operation.precondition is not preconditions.NONE:
            operation.precondition.check(held.etag)
        write = operation.write
        if isinstance(write, Resolve):
            outcome = _resolve(held, operation, write, self.now)
        else:
            outcome = _write(held, operation, write, self.now)
        try:
            self._accept(held, outcome)
        except IntegrityError:
            # Another process has just opened the session this write was to open: now there is one to lock.
            self.held |= _load({operation.session_id})
            if operation.session_id not in self.held:
                raise
            return self.perform(operation)
        return outcome

    def attempt(self, operations: Sequence[Operation]) -> list[Outcome] | None:
        """Do all operations on one session, or none: None if any of them needs more than the process's memory."""
        session_id = operations[0].session_id
        outcomes = []
        try:
            for operation in operations:
                if operation.repeat is not None or session_id not in self.held:
                    break
                outcome = self.perform(operation)
                if outcome.version is None:
                    break
                outcomes.append(outcome)
        except (DomainError, NotRemembered):  # a refusal is told only of what is certain
            outcomes.clear()
        if len(outcomes) == len(operations):
            return outcomes
        self.held.pop(session_id, None)
        return None

    def save(self) -> None:
        """Write the new versions, states and kept answers, under the locks."""
        if changed := self._changed():
            statestore.write(changed, self.now)
            for query in self.housekeeping():
                prepared.run(*query)
        self._memory.save()

    def following(self) -> Query | None:
        """What writes the versions where they follow what is current, and says in which sessions they did."""
        return statestore.following(changed, self.now) if (changed := self._changed()) else None

    def keep(self, session_ids: Container[str]) -> None:
        """Go on with these sessions alone."""
        self.held = {name: held for name, held in self.held.items() if name in session_ids}

    def housekeeping(self) -> list[Query]:
        """What is due after what was written, and may come later: old history goes, activity is noted (SES-54)."""
        changed = self._changed()
        idle = [held for held in changed if held.last_activity_at < self.now.at - ACTIVITY_NOTED_EVERY]
        for held in idle:
            held.note_activity(self.now.at)
        forgetting = statestore.forgetting_old(changed)
        touching = statestore.touching([held.session_id for held in idle], self.now.at) if idle else None
        return [query for query in (forgetting, touching) if query]

    def remember(self) -> None:
        """Keep the states in memory; call it once they are committed."""
        known.remember(state for held in self.held.values() if (state := held.known))

    def _changed(self) -> list[Held]:
        """The sessions with new versions, in the order in which rows are locked."""
        return sorted((held for held in self.held.values() if held.made), key=lambda held: held.session_id)

    def _visible(self, operation: Operation) -> Held:
        held = self.held.get(operation.session_id)
        if held is None:
            opens = isinstance(operation.write, Replace) and ids.is_canonical_uuid(operation.session_id)
            if not opens or operation.user_id is None:
                raise SessionNotFound
            return Held.unopened(operation.session_id, operation.user_id, self.now.at)
        if not operation.may_see(held.user_id):
            raise SessionNotFound
        return held

    def _made_before(self, operation: Operation) -> Version | None:
        version = self._made_by_op.get((operation.session_id, operation.device_id, operation.op_id))
        if version is not None and version.op_digest != operation.write.digest:
            raise OpIdReused
        return version

    def _accept(self, held: Held, outcome: Outcome) -> None:
        operation = outcome.operation
        if held.is_unopened:
            sessions.open_implicitly(
                session_id=held.session_id, user_id=held.user_id, by=operation.by, via=operation.write.source,
                performer_id=operation.performer(held.user_id), device_id=operation.device_id,
            )  # fmt: skip
            held.is_unopened = False
        self.held[held.session_id] = held
        if operation.op_id and outcome.version:
            self._made_by_op[held.session_id, operation.device_id, operation.op_id] = outcome.version
        if operation.repeat:
            self._memory.keep(operation.repeat, answers.of(outcome))


def _load(session_ids: Iterable[str], operations: Iterable[Operation] | None = None) -> dict[str, Held]:
    """The sessions that exist, locked, with their states: of those only that one of the operations may see (CON-7)."""
    sessions_found = statestore.lock(sorted(session_ids))
    owners = {session.session_id: session.user_id for session in sessions_found}
    if operations is None:
        seen = list(owners)
    else:
        seen = sorted({o.session_id for o in operations if o.session_id in owners and o.may_see(owners[o.session_id])})
    remembered = {session_id: state.document for session_id in seen if (state := known.find(session_id))}
    checksums = [remembered[session_id].checksum if session_id in remembered else None for session_id in seen]
    state_of = {state.session_id: state for state in statestore.load(seen, checksums)} if seen else {}
    return {s.session_id: Held.of(s, state_of.get(s.session_id), remembered.get(s.session_id)) for s in sessions_found}


def _versions_by_op(operations: Iterable[Operation]) -> dict[OpKey, Version]:
    keys = {(op.session_id, op.device_id, op.op_id) for op in operations if op.op_id and op.device_id}
    if not keys:
        return {}
    return {(v.session_id, v.device_id, v.op_id): v for v in statestore.versions_by_op(sorted(keys))}


def _writable(held: Held, operation: Operation, at: dt.datetime) -> Held:
    """The state the operation meets. Raises SnapshotNotFound, SessionAlreadyClosed, SnapshotExpired."""
    if held.state is None and isinstance(operation.write, Resolve):
        raise SnapshotNotFound
    if not held.is_active:
        raise SessionAlreadyClosed
    if not held.has_expired(at):
        return held
    if not operation.write.revives:
        raise SnapshotExpired
    return held.anew()


def _resolve(held: Held, operation: Operation, write: Resolve, now: Moment) -> Outcome:
    """The outcome of a resolution."""
    base = held.document_at(write.seen_version) if write.seen_version else None
    result, resolution = write.resolve(held.document, base)
    changes = result.checksum != held.document.checksum
    version = held.append(operation, patches.between(held.document, result), now) if changes else None
    return Outcome(
        operation=operation, snapshot=held.snapshot, version=version, resolution=resolution, base_known=base is not None
    )


def _write(held: Held, operation: Operation, write: DirectWrite, now: Moment) -> Outcome:
    """The outcome of any other write. Raises VersionConflict, and what the write's own change() raises."""
    if not write.fits(held.version):
        if held.state and isinstance(write, Replace) and write.restates(held.version, held.document.checksum):
            return Outcome(operation=operation, snapshot=held.snapshot)
        raise _conflict(held, write)
    version = held.append(operation, write.change(held.document), now)
    return Outcome(operation=operation, snapshot=held.snapshot, version=version)


def _conflict(held: Held, write: DirectWrite) -> VersionConflict:
    """The difference between the version that was met and the one the client had in mind (STA-33)."""
    base = None if write.base_version is None else held.document_at(write.base_version)
    try:
        if base is None:
            keys = write.effective(held.document)
        else:
            keys = write.touched(held.document) & base.differing(held.document)
    except DomainError:
        keys = set()  # a value that no version could have taken
    return VersionConflict(
        write.misfit.format(write.client_version, held.version),
        conflict={
            "server_version": held.version,
            "client_version": write.client_version,
            "epoch": held.epoch,
            "server_state": orjson.Fragment(held.document.canonical),
            "server_checksum": held.document.checksum,
            "conflicting_keys": sorted(keys),
        },
    )
