"""The process's group committer (STA-64): writes of all callers gather here and are committed together.

While one commit is in flight the next batch forms by itself, so there is no timer. Two flushers overlap the work of one
batch with the disk of the other; a session always goes to the same one, which keeps its writes in order.
"""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

import structlog
from django.db import Error, connection

from sessions_app import pooling, snapshots
from sessions_app.errors import DatabaseUnavailable, Internal
from sessions_app.kinds import DomainError
from sessions_app.snapshots import Result
from sessions_app.state.operations import Operation, Outcome

MOST_PER_BATCH: Final = 64
MOST_WAITING: Final = 512  # per flusher; beyond it nobody would be answered in time
FLUSHERS: Final = 2
IDLE_S: Final = 1.0  # after so long the connection is tried before it is trusted

log = structlog.get_logger(__name__)


def commit(operation: Operation) -> Outcome:
    """Write one operation and wait for its commit; inside a transaction, as part of it. Raises DomainError."""
    if connection.in_atomic_block:
        [result] = snapshots.commit([operation])
    else:
        waiting: Future[Result] = Future()
        _flusher(operation).add(_Entry(operation, waiting))
        result = waiting.result()
    if isinstance(result, DomainError):
        raise result
    return result


async def committed(operation: Operation) -> Outcome:
    """The same for callers on an event loop, which it does not block. Raises DomainError."""
    waiting: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    _flusher(operation).add(_Entry(operation, waiting))
    result = await waiting
    if isinstance(result, DomainError):
        raise result
    return result


def stop() -> None:
    """Commit what is waiting, then end the flushers; the next write starts new ones."""
    global _flushers
    with _starting:
        ending, _flushers = _flushers, ()
    for flusher in ending:
        flusher.stop()


class _Entry(NamedTuple):
    operation: Operation
    waiting: "Future[Result] | asyncio.Future[Result]"


class _Flusher:
    """One thread with one connection, and the writes that wait for it."""

    def __init__(self, number: int) -> None:
        self._inbox: SimpleQueue[_Entry | None] = SimpleQueue()  # None: time to end
        self._thread = threading.Thread(target=self._run, name=f"flusher-{number}", daemon=True)
        self._thread.start()

    def add(self, entry: _Entry) -> None:
        """Queue one write. Raises DatabaseUnavailable when too many wait already."""
        if self._inbox.qsize() >= MOST_WAITING:
            raise DatabaseUnavailable("Too many writes are waiting for the database.", retry_after=1)
        self._inbox.put(entry)

    def stop(self) -> None:
        """Finish what is queued and end the thread."""
        self._inbox.put(None)
        self._thread.join()

    def _run(self) -> None:
        last_used = 0.0
        while batch := self._next():
            if time.monotonic() - last_used > IDLE_S:
                connection.close_if_unusable_or_obsolete()
            _answer(batch, self._commit(batch))
            last_used = time.monotonic()
        connection.close()

    def _next(self) -> list[_Entry]:
        """The next batch: what has gathered, at least one write; empty when it is time to end."""
        batch: list[_Entry] = []
        with suppress(Empty):
            entry = self._inbox.get()
            while entry is not None:
                batch.append(entry)
                if len(batch) == MOST_PER_BATCH:
                    return batch
                entry = self._inbox.get_nowait()
            if batch:
                self._inbox.put(None)  # for the next time
        return batch

    def _commit(self, batch: Sequence[_Entry]) -> list[Result]:
        """What came of each write: first without a lock, then under one for those that did not come about."""
        operations = [entry.operation for entry in batch]
        results = _guarded(snapshots.commit_optimistically, operations)
        rest = [place for place, result in enumerate(results) if result is None]
        for place, result in zip(rest, _locked([operations[place] for place in rest]), strict=True):
            results[place] = result
        return [result for result in results if result is not None]


def _locked(operations: Sequence[Operation]) -> list[Result]:
    results = _guarded(snapshots.commit, operations) if operations else []
    if None not in results:
        return [result for result in results if result is not None]
    if len(operations) == 1:
        return [Internal()]
    return [result for operation in operations for result in _locked([operation])]


def _guarded(
    commit: Callable[[Sequence[Operation]], Sequence[Result | None]], operations: Sequence[Operation]
) -> list[Result | None]:
    """The results of `commit`; None for all after a defect: one operation has found it, the others must not suffer."""
    try:
        return list(commit(operations))
    except Error as error:
        log.error("commit.failed", operations=len(operations), error=str(error))
        pooling.renew_if_lost()
        return [DatabaseUnavailable(retry_after=1)] * len(operations)
    except Exception as error:
        log.error("commit.defect", operations=len(operations), exc_info=error)
        return [None] * len(operations)


def _answer(batch: Sequence[_Entry], results: Sequence[Result]) -> None:
    """Wake the waiting; each event loop only once, for all of its callers."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Result], Result]]] = defaultdict(list)
    for entry, result in zip(batch, results, strict=True):
        if isinstance(entry.waiting, Future):
            entry.waiting.set_result(result)
        else:
            by_loop[entry.waiting.get_loop()].append((entry.waiting, result))
    for loop, answers in by_loop.items():
        try:
            loop.call_soon_threadsafe(_wake, answers)
        except RuntimeError:
            log.warning("commit.nobody_waits", operations=len(answers))  # the loop has closed; the writes stand


def _wake(answers: Sequence[tuple["asyncio.Future[Result]", Result]]) -> None:
    for waiting, result in answers:
        if not waiting.done():  # its caller may have gone
            waiting.set_result(result)


def _flusher(operation: Operation) -> _Flusher:
    flushers = _flushers
    if len(flushers) < FLUSHERS:
        flushers = _start()
    return flushers[hash(operation.session_id) % FLUSHERS]


def _start() -> tuple[_Flusher, ...]:
    global _flushers
    with _starting:
        if not _flushers:
            _flushers = tuple(map(_Flusher, range(FLUSHERS)))
        return _flushers


_flushers: tuple[_Flusher, ...] = ()
_starting = threading.Lock()
