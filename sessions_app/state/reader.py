"""Reads of states for the event loop: whoever asks while a query is under way shares the next one (STA-29).

A query begins after every request it answers, so each reader sees what had been acknowledged before it asked.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import psycopg
import structlog

from sessions_app.errors import DatabaseUnavailable, Internal
from sessions_app.kinds import DomainError
from sessions_app.state import columns, rows, statements
from sessions_app.state.loop_connection import LoopConnection
from sessions_app.state.rows import Found

MOST_PER_QUERY: Final = 64
MOST_WAITING: Final = 2048
ANSWER_S: Final = 5.0

log = structlog.get_logger(__name__)


async def read(session_id: str) -> Found | None:
    """The session and its state as last committed; None if there is no such session. Raises DatabaseUnavailable."""
    return await _reader().read(session_id)


async def stop() -> None:
    """Let the connection of this loop go."""
    if reader := _readers.pop(asyncio.get_running_loop(), None):
        await reader.stop()


class _Reader:
    """One connection of one event loop, and who waits for it."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, asyncio.Future[Found | None]]] = []
        self._wake = asyncio.Event()
        self._connection = LoopConnection()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def read(self, session_id: str) -> Found | None:
        """Ask, and wait for the answer."""
        if len(self._waiting) >= MOST_WAITING:
            raise DatabaseUnavailable("Too many reads are waiting for the database.", retry_after=1)
        answer: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((session_id, answer))
        self._wake.set()
        return await answer

    async def stop(self) -> None:
        """End the task and close the connection."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._connection.close()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            batch, self._waiting = self._waiting[:MOST_PER_QUERY], self._waiting[MOST_PER_QUERY:]
            if not self._waiting:
                self._wake.clear()
            await self._answer(batch)

    async def _answer(self, batch: Sequence[tuple[str, asyncio.Future[Found | None]]]) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                found = await self._query(sorted({session_id for session_id, _ in batch}))
        except (psycopg.Error, OSError, TimeoutError) as error:
            log.warning("reader.failed", reads=len(batch), error=str(error))
            await self._connection.close()
            _tell(batch, {}, DatabaseUnavailable(retry_after=1))
        except Exception as error:  # whatever it is, the reader goes on and nobody waits for ever
            log.error("reader.defect", reads=len(batch), exc_info=error)
            _tell(batch, {}, Internal())
        else:
            _tell(batch, found, None)

    async def _query(self, session_ids: Sequence[str]) -> dict[str, Found]:
        found = await self._connection.rows(statements.READ, [columns.texts(session_ids)])
        return {row[0]: rows.found(row) for row in found}


def _tell(
    batch: Sequence[tuple[str, asyncio.Future[Found | None]]],
    found: dict[str, Found],
    error: DomainError | None,
) -> None:
    for session_id, answer in batch:
        if answer.done():  # whoever asked has gone
            continue
        if error is None:
            answer.set_result(found.get(session_id))
        else:
            answer.set_exception(error)


def _reader() -> _Reader:
    loop = asyncio.get_running_loop()
    if loop not in _readers:
        _readers[loop] = _Reader()
    return _readers[loop]


_readers: dict[asyncio.AbstractEventLoop, _Reader] = {}
