"""Where the event loop meets the database: a verb crosses to a thread once."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, ParamSpec, TypeVar

import structlog
from django.db import InterfaceError, OperationalError, close_old_connections

from sessions_app import pooling
from sessions_app.errors import DatabaseUnavailable

P = ParamSpec("P")
T = TypeVar("T")

MOST_THREADS: Final = 4  # of the pool's connections; sockets wait for nothing else there

log = structlog.get_logger(__name__)
_pool = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="verb")


async def cross(verb: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a verb in a thread with a connection of its own. Raises what it raises, and DatabaseUnavailable."""

    def guarded() -> T:
        try:
            return verb(*args, **kwargs)
        except (OperationalError, InterfaceError) as error:
            pooling.renew_if_lost()
            log.warning("verb.database_failed", verb=getattr(verb, "__name__", ""), error=str(error))
            raise DatabaseUnavailable(retry_after=1) from error

    return await cross_in(_pool, guarded)


async def cross_in(threads: Executor, verb: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a verb in one of `threads` and hand its connection back afterwards. Raises what it raises."""

    def call() -> T:
        try:
            return verb(*args, **kwargs)
        finally:
            close_old_connections()

    return await asyncio.get_running_loop().run_in_executor(threads, copy_context().run, call)
