"""Door to Redis pub/sub as a listener (POD-53): hints that a session has work or news. A missed one only delays."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis.asyncio
import structlog
from django.conf import settings
from redis.exceptions import RedisError

CONNECT_S = 0.5
RECONNECT_S = 0.5
SILENCE_S = 30.0  # a subscription that says nothing that long is asked whether it lives

log = structlog.get_logger(__name__)


class Listener:
    """Hears one channel for as long as `run` runs, through every loss of Redis."""

    def __init__(self, channel: str, heard: Callable[[str], None]) -> None:
        self._channel, self._heard = channel, heard
        self.is_connected = False

    async def run(self) -> None:
        """Call `heard` with each session id; after a gap with an empty text, since something may have been missed."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                log.warning("notices.lost", channel=self._channel, error=str(error))
            finally:
                self.is_connected = False
            await asyncio.sleep(RECONNECT_S)

    async def _listen(self) -> None:
        client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=CONNECT_S)
        async with client, client.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(self._channel)
            self.is_connected = True
            self._heard("")
            while True:
                message = await subscription.get_message(timeout=SILENCE_S)
                if message is None:
                    await subscription.ping()
                else:
                    self._heard(message["data"].decode("utf-8", "replace"))


class Waiters:
    """Who waits in this process for news of a session."""

    def __init__(self) -> None:
        self._events: dict[str, set[asyncio.Event]] = defaultdict(set)

    def heard(self, session_id: str) -> None:
        """Wake who waits for the session; an empty id wakes everybody."""
        for waiting in [session_id] if session_id else list(self._events):
            for event in self._events.get(waiting, ()):
                event.set()

    @contextmanager
    def waiting(self, session_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever there is news."""
        event = asyncio.Event()
        self._events[session_id].add(event)
        try:
            yield event
        finally:
            self._events[session_id].discard(event)
            if not self._events[session_id]:
                del self._events[session_id]
