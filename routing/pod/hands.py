"""What the tasks of one worker share: its name, and its threads for the synchronous verbs."""

import uuid
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sessions_app.sockets.threads import cross_in
from sessions_app.threads import Threads

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 6  # fewer than DB_POOL_MAX: each may hold a connection


class Hands:
    """`await hands(verb, ...)` runs a verb in a thread and hands its database connection back afterwards."""

    worker_id: uuid.UUID  # under which this process tends pods, once it is registered

    def __init__(self) -> None:
        self._threads = Threads("pods", most=THREADS)

    async def __call__(self, verb: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `verb`. Raises what it raises."""
        return await cross_in(self._threads, verb, *args, **kwargs)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown()
