"""A connection to the database for code on an event loop, which Django's own would block.

As in prepared.py each statement is planned once; here each is a transaction of its own.
"""

import time
from collections.abc import Sequence
from typing import Any, Final

import psycopg
from django.db import connection as django_connection

from sessions_app import libpq
from sessions_app.libpq import Row

IDLE_S: Final = 1.0  # after so long the connection is tried before it is trusted
# What is asked here finds its rows by key. Left alone, PostgreSQL plans some of it anew each time, in hope of better,
# and reads all of a small table, with the dead rows that many writes have left in it.
_PLANNING: Final = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off"
_DJANGO_ONLY: Final = frozenset({"context", "cursor_factory", "prepare_threshold", "pool", "client_encoding"})


class LoopConnection:
    """Made when it is first needed, and anew when it was lost; for one task at a time."""

    def __init__(self) -> None:
        self._raw: psycopg.AsyncConnection[Any] | None = None
        self._used_at = 0.0

    async def rows(self, statement: str, parameters: Sequence[Any]) -> list[Row]:
        """The rows of a statement, committed. Raises psycopg.Error, OSError; it may be committed all the same."""
        raw = await self._usable()
        self._used_at = time.monotonic()
        answer = await raw.wait(libpq.asking(raw, statement, parameters))
        return answer.rows()

    async def close(self) -> None:
        """Let it go; the next statement makes a new one."""
        leaving, self._raw = self._raw, None
        if leaving is not None:
            await leaving.close()

    async def _usable(self) -> psycopg.AsyncConnection[Any]:
        if self._raw is not None and time.monotonic() - self._used_at > IDLE_S:
            try:
                await self._raw.execute("SELECT 1")
            except psycopg.Error:
                await self.close()
        if self._raw is None or self._raw.closed:
            self._raw = await psycopg.AsyncConnection.connect(**_parameters(), autocommit=True)
            await self._raw.execute(_PLANNING)
        return self._raw


def _parameters() -> dict[str, Any]:
    """Where Django's own connection leads; without its cursors and adapters, which are not asynchronous."""
    parameters = django_connection.get_connection_params()
    return {name: value for name, value in parameters.items() if name not in _DJANGO_ONLY}
