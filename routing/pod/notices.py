"""Door to Redis pub/sub as a listener (POD-53): hints that a session has work or news. A missed one only delays."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis.asyncio
import structlog
from django.conf import settings
from redis.exceptions import RedisError

from routing import inbox

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
        """Call `heard` with each notice; after a gap with an empty text, since something may have been missed."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                log.warning("notices.lost", channel=self._channel, error=str(error))
            finally:
                self.is_connected = False
            await asyncio.sleep(RECONNECT_S)

    async def _listen(self) -> None:
        connection = _connection()
        try:
            await connection.connect()
            await connection.send_command("SUBSCRIBE", self._channel)
            while True:
                answer = await connection.read_response(timeout=SILENCE_S)
                if answer is None:
                    await connection.send_command("PING", check_health=False)
                elif answer[0] == b"message":
                    self._heard(answer[2].decode("utf-8", "replace"))
                elif answer[0] == b"subscribe":
                    self.is_connected = True
                    self._heard("")
        finally:
            await connection.disconnect(nowait=True)


class Waiter:
    """Somebody who waits for news of a session: `event` is set whenever there is some, `told` is what it said."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.told: list[str] = []

    def hear(self, told: str) -> None:
        """Wake it."""
        if told:
            self.told.append(told)
        self.event.set()

    def all_told(self) -> list[str]:
        """What was told since the last call, and from now on the event is for what comes."""
        self.event.clear()
        told, self.told = self.told, []
        return told


class Waiters:
    """Who waits in this process for news of a session."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[Waiter]] = defaultdict(set)

    def heard(self, notice: str) -> None:
        """Wake who waits for the session the notice names; an empty one wakes everybody."""
        session_id, told = inbox.read_news(notice)
        for waiting in [session_id] if session_id else list(self._waiting):
            for waiter in self._waiting.get(waiting, ()):
                waiter.hear(told)

    @contextmanager
    def waiting(self, session_id: str) -> Iterator[Waiter]:
        """One who waits."""
        waiter = Waiter()
        self._waiting[session_id].add(waiter)
        try:
            yield waiter
        finally:
            self._waiting[session_id].discard(waiter)
            if not self._waiting[session_id]:
                del self._waiting[session_id]


def _connection() -> Any:
    pool: Any = redis.asyncio.ConnectionPool.from_url(
        settings.REDIS_URL, protocol=2, socket_timeout=None, socket_connect_timeout=CONNECT_S
    )
    return pool.make_connection()  # read directly: the client's pub/sub spends as much again on each message
