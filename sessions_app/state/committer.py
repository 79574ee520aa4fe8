"""The process's group committer (STA-64): writes of all callers gather here and are committed together.

While one commit is in flight the next batch forms by itself, so there is no timer. Two lanes overlap the work of one
batch with the commit of the other; a session always takes the same one, which keeps its writes in order. A lane lives
on the event loop of its callers and computes there what is quick; what needs locks is left to a thread. What takes long
to compute is set aside for a siding with a thread of its own, so that nobody quick waits behind it.
"""

import asyncio
import contextvars
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import psycopg
import structlog
from django.db import Error, connection, connections

from sessions_app import pooling, snapshots
from sessions_app.errors import DatabaseUnavailable, Internal
from sessions_app.kinds import DomainError
from sessions_app.snapshots import Result
from sessions_app.state import attempts
from sessions_app.state.attempts import Attempt
from sessions_app.state.loop_connection import IDLE_S, LoopConnection
from sessions_app.state.operations import Operation, Outcome

MOST_PER_BATCH: Final = 64
MOST_PER_LONG_BATCH: Final = 4  # whose first would wait for what the last one takes, many times a commit
MOST_WAITING: Final = 512  # per lane; beyond it nobody would be answered in time
LANES: Final = 2

log = structlog.get_logger(__name__)


def commit(operation: Operation) -> Outcome:
    """Write one operation from a thread, in a transaction of its own or as part of the one around it.

    Raises DomainError.
    """
    [result] = snapshots.commit([operation])
    if isinstance(result, DomainError):
        raise result
    return result


async def committed(operation: Operation) -> Outcome:
    """Write one operation and wait for its commit, which it shares with others. Raises DomainError."""
    result = await _lane(operation).add(operation)
    if isinstance(result, DomainError):
        raise result
    return result


async def stop() -> None:
    """Commit what is waiting on this event loop, then end its lanes; the next write starts new ones."""
    for lane in _lanes.pop(asyncio.get_running_loop(), ()):
        await lane.stop()


_Entry = tuple[Operation, asyncio.Future[Result]]


class _Lane:
    """One connection, the writes that wait for it, and a thread for what may not hold up the event loop.

    A lane with a `siding` serves what is quick. One without is a siding: what it serves is computed in its thread.
    """

    def __init__(self, siding: "_Lane | None" = None) -> None:
        self._siding = siding
        self._most_per_batch = MOST_PER_BATCH if siding else MOST_PER_LONG_BATCH
        self._unanswered: Counter[str] = Counter()  # in a siding: how many writes of which sessions it has
        self._inbox: deque[_Entry] = deque()
        self._wake = asyncio.Event()
        self._is_ending = False
        self._database = LoopConnection()
        self._thread = ThreadPoolExecutor(1, "committer")
        self._thread_used_at = 0.0
        # In a context of its own: nothing it logs is the business of the request that happened to come first.
        self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())

    def add(self, operation: Operation) -> asyncio.Future[Result]:
        """Queue one write. Raises DatabaseUnavailable when too many wait already."""
        if len(self._inbox) >= MOST_WAITING:
            raise DatabaseUnavailable("Too many writes are waiting for the database.", retry_after=1)
        waiting: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._inbox.append((operation, waiting))
        self._wake.set()
        return waiting

    def take_over(self, entries: Sequence[_Entry]) -> None:
        """Queue writes that another lane has set aside; those too many are refused."""
        room = MOST_WAITING - len(self._inbox)
        _answer(entries[room:], [DatabaseUnavailable(retry_after=1)] * len(entries[room:]))
        self._inbox.extend(entries[:room])
        self._unanswered.update(operation.session_id for operation, _ in entries[:room])
        self._wake.set()

    async def stop(self) -> None:
        """Finish what is queued and let the connections go."""
        self._is_ending = True
        self._wake.set()
        await self._task
        await self._database.close()
        await self._in_thread(connections.close_all)
        self._thread.shutdown(wait=False)
        if self._siding:
            await self._siding.stop()

    async def _run(self) -> None:
        while await self._has_some():
            batch = [self._inbox.popleft() for _ in range(min(len(self._inbox), self._most_per_batch))]
            try:
                if quick := self._set_aside(batch):
                    await self._serve(quick)
            except Exception as error:  # whatever it is, the lane goes on and nobody waits for ever
                log.error("commit.defect", operations=len(batch), exc_info=error)
                _answer(batch, [Internal()] * len(batch))
            if self._unanswered:
                self._unanswered -= Counter(operation.session_id for operation, _ in batch)

    def _set_aside(self, batch: Sequence[_Entry]) -> Sequence[_Entry]:
        """Leave to the siding whatever concerns a session with a write that takes long; returns what is left."""
        if self._siding is None:
            return batch
        busy = self._siding._unanswered
        if not busy and attempts.are_quick([operation for operation, _ in batch]):
            return batch
        held_up = {operation.session_id for operation, _ in batch if not attempts.are_quick([operation])} | busy.keys()
        self._siding.take_over([entry for entry in batch if entry[0].session_id in held_up])
        return [entry for entry in batch if entry[0].session_id not in held_up]

    async def _has_some(self) -> bool:
        """Wait for a write; False when it is time to end and none is left."""
        while not self._inbox and not self._is_ending:
            self._wake.clear()
            await self._wake.wait()
        return bool(self._inbox)

    async def _serve(self, batch: Sequence[_Entry]) -> None:
        """Answer each write: first those that come about without a lock, then the rest, which go under one."""
        attempt, results = await self._attempted([operation for operation, _ in batch])
        _answer(batch, results)
        if rest := [entry for entry, result in zip(batch, results, strict=True) if result is None]:
            _answer(rest, await self._in_thread(self._locked, [operation for operation, _ in rest]))
        if attempt:
            await self._clear_up(attempt)

    async def _attempted(self, operations: Sequence[Operation]) -> tuple[Attempt | None, Sequence[Result | None]]:
        """The attempt, and what came of each operation; None for those that have to go under the locks."""
        try:
            attempt = Attempt(operations) if self._siding else await self._in_thread(Attempt, operations)
            query = attempt.query()
        except Exception as error:  # one operation has found a defect, from which the others must not suffer
            log.error("commit.defect", operations=len(operations), exc_info=error)
            return None, [None] * len(operations)
        try:
            written = {session_id for (session_id,) in await self._database.rows(*query)} if query else set()
        except (psycopg.Error, OSError) as error:
            log.error("commit.failed", operations=len(operations), error=str(error))
            await self._database.close()
            return None, [DatabaseUnavailable(retry_after=1)] * len(operations)
        return attempt, attempt.settle(written)  # a defect from here on is no reason to write anything again

    async def _clear_up(self, attempt: Attempt) -> None:
        try:
            for query in attempt.due:
                await self._database.rows(*query)
        except (psycopg.Error, OSError) as error:  # what was written stands
            log.warning("state.not_cleared_up", error=str(error))
            await self._database.close()
            attempt.forget()

    async def _in_thread(self, act: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act, *arguments)

    def _locked(self, operations: Sequence[Operation]) -> list[Result]:
        if time.monotonic() - self._thread_used_at > IDLE_S:
            connection.close_if_unusable_or_obsolete()
        results = _under_locks(operations)
        if self._siding is None:
            connection.close()  # back to the pool, which is small: what takes long can wait for another one
        self._thread_used_at = time.monotonic()
        return results


def _under_locks(operations: Sequence[Operation]) -> list[Result]:
    """Commit them together; after a defect each by itself, so that it harms no other."""
    try:
        return snapshots.commit(operations)
    except Error as error:
        log.error("commit.failed", operations=len(operations), error=str(error))
        pooling.renew_if_lost()
        return [DatabaseUnavailable(retry_after=1)] * len(operations)
    except Exception as error:
        log.error("commit.defect", operations=len(operations), exc_info=error)
        if len(operations) == 1:
            return [Internal()]
        return [result for operation in operations for result in _under_locks([operation])]


def _answer(entries: Sequence[_Entry], results: Sequence[Result | None]) -> None:
    for (_, waiting), result in zip(entries, results, strict=True):
        if result is not None and not waiting.done():  # its caller may have gone
            waiting.set_result(result)


def _lane(operation: Operation) -> _Lane:
    loop = asyncio.get_running_loop()
    lanes = _lanes.get(loop)
    if lanes is None:
        lanes = _lanes[loop] = tuple(_Lane(siding=_Lane()) for _ in range(LANES))
    return lanes[hash(operation.session_id) % len(lanes)]


_lanes: dict[asyncio.AbstractEventLoop, tuple[_Lane, ...]] = {}
