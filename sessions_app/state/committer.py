"""The process's group committer (STA-64): writes of all callers gather here and are committed together.

While one commit is in flight the next batch forms by itself, so there is no timer. Two flushers overlap the work of one
batch with the disk of the other; a session always goes to the same one, which keeps its writes in order.
"""

import asyncio
import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

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
    with _starting:
        ending = _flushers[:]
        _flushers.clear()
    for flusher in ending:
        flusher.stop()


@dataclass(frozen=True, slots=True)
class _Entry:
    operation: Operation
    waiting: "Future[Result] | asyncio.Future[Result]"


class _Flusher:
    """One thread with one connection, and the writes that wait for it."""

    def __init__(self, number: int) -> None:
        self._inbox: deque[_Entry] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"flusher-{number}", daemon=True)
        self._thread.start()

    def add(self, entry: _Entry) -> None:
        """Queue one write. Raises DatabaseUnavailable when too many wait already."""
        with self._changed:
            if len(self._inbox) >= MOST_WAITING:
                raise DatabaseUnavailable("Too many writes are waiting for the database.", retry_after=1)
            self._inbox.append(entry)
            self._changed.notify()

    def stop(self) -> None:
        """Finish what is queued and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
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
        """The next batch; empty when it is time to end."""
        with self._changed:
            while not self._inbox and not self._stopping:
                self._changed.wait()
            return [self._inbox.popleft() for _ in range(min(len(self._inbox), MOST_PER_BATCH))]

    def _commit(self, batch: Sequence[_Entry]) -> list[Result]:
        operations = [entry.operation for entry in batch]
        try:
            return snapshots.commit(operations)
        except Error as error:
            log.error("commit.failed", operations=len(batch), error=str(error))
            pooling.renew_if_lost()
            return [DatabaseUnavailable(retry_after=1)] * len(batch)
        except Exception as error:  # a defect that one operation has found: the others must not suffer
            log.error("commit.defect", operations=len(batch), exc_info=error)
            return [Internal()] if len(batch) == 1 else [result for entry in batch for result in self._commit([entry])]


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
    with _starting:
        while len(_flushers) < FLUSHERS:
            _flushers.append(_Flusher(len(_flushers)))
        return _flushers[hash(operation.session_id) % FLUSHERS]


_flushers: list[_Flusher] = []
_starting = threading.Lock()
