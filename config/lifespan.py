"""What a web process starts when its event loop does, and stops with it: ASGI's lifespan."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from gestures import extractor
from routing.pod import drivers
from sessions_app import broadcast
from sessions_app.state import committer, reader

log = structlog.get_logger(__name__)


async def _close_driver() -> None:
    await asyncio.to_thread(drivers.current().close)


# The committer commits what is still waiting; its frames leave before the fan-out ends.
STOP: tuple[Callable[[], Awaitable[None]], ...] = (
    extractor.stop,
    reader.stop,
    committer.stop,
    broadcast.stop,
    _close_driver,
)


async def application(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    """Serve the one lifespan of this process."""
    await receive()  # lifespan.startup
    broadcast.start()
    extractor.source()  # the workers warm up while the process is already serving
    await send({"type": "lifespan.startup.complete"})
    await receive()  # lifespan.shutdown
    for stop in STOP:
        try:
            await stop()
        except Exception as error:  # each part is stopped, whatever befell the others
            log.error("lifespan.stop_failed", exc_info=error)
    await send({"type": "lifespan.shutdown.complete"})
