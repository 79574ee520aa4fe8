"""Door to Redis pub/sub: what the web processes tell each other (STA-66). At most once, and never waited for.

One connection subscribes, one publishes; commands of one turn of the loop travel together. While Redis is away nothing
is kept: the names of what could not be published are handed back when it returns, and so is the need to look again.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio
import structlog
from django.conf import settings

MAX_UNSENT = 10_000  # messages; more than this in one turn means that Redis does not keep up
_PING_S = 10.0
_SILENT_S = 25.0  # no answer to two pings: the peer is gone without a word
_RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)

# One command and one reply for a whole batch: reading an answer to each message cost more than making the message.
_ALL = "for i = 1, #ARGV, 3 do redis.call(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end"

_AWAY = (redis.RedisError, OSError, asyncio.TimeoutError)

log = structlog.get_logger(__name__)

Receiver = Callable[[str, bytes], None]


class Bus:
    """The process's two connections to Redis. Everything but `run` is called on the loop and returns at once."""

    def __init__(self, *, receive: Receiver, returned: Callable[[set[str]], None]) -> None:
        """`receive` gets channel and body; `returned` the channels whose messages were lost while Redis was away."""
        self._receive, self._returned = receive, returned
        self._channels: set[str] = set()
        self._asked: list[tuple[str, str]] = []  # SUBSCRIBE and UNSUBSCRIBE of this turn
        self._confirming: dict[str, list[asyncio.Future[None]]] = {}
        self._unsent: list[tuple[str, str, bytes | int]] = []
        self._lost: set[str] = set()
        self._wake = asyncio.Event()
        self._subscriber: Any = None
        self._heard_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_connected(self) -> bool:
        """Whether messages of other processes arrive."""
        return self._subscriber is not None

    def start(self) -> None:
        """Connect, and go on connecting."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._subscribing()), loop.create_task(self._publishing())]

    async def stop(self) -> None:
        """Let go of Redis; what is still unsent gets a moment."""
        for _ in range(10):
            if not self._unsent:
                break
            await asyncio.sleep(0.02)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def publish(self, channel: str, body: bytes) -> None:
        """Send soon, after what was published before."""
        if len(self._unsent) >= MAX_UNSENT:
            self._lost.add(channel)
        else:
            self.send("PUBLISH", channel, body)

    def send(self, command: str, key: str, value: bytes | int) -> None:
        """Send a command whose answer does not matter."""
        self._unsent.append((command, key, value))
        self._wake.set()

    def subscribe(self, channel: str) -> None:
        """Receive what is published on `channel`."""
        self._channels.add(channel)
        self._ask("SUBSCRIBE", channel)

    def unsubscribe(self, channel: str) -> None:
        """Receive it no longer."""
        self._channels.discard(channel)
        self._ask("UNSUBSCRIBE", channel)

    async def subscribed(self, channel: str, *, within_s: float = 1.0) -> None:
        """Wait until Redis has confirmed the latest subscription to `channel`; with Redis away, do not wait."""
        if not self.is_connected:
            return
        confirmed = asyncio.get_running_loop().create_future()
        self._confirming.setdefault(channel, []).append(confirmed)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(confirmed, within_s)

    def _ask(self, command: str, channel: str) -> None:
        if not self.is_connected:
            return
        if not self._asked:
            asyncio.get_running_loop().call_soon(self._send_asked)
        self._asked.append((command, channel))

    def _send_asked(self) -> None:
        asked, self._asked = self._asked, []
        if self._subscriber is not None and asked:
            # Written, not awaited: the buffer of a connection that only subscribes does not fill up.
            self._subscriber._writer.writelines(self._subscriber.pack_commands(asked))

    async def _subscribing(self) -> None:
        failures = 0
        while True:
            connection = _connection()
            try:
                await connection.connect()
                self._take_over(connection)
                failures = 0
                await asyncio.gather(self._reading(connection), self._pinging(connection))
            except _AWAY as error:
                log.warning("bus.subscriber_lost", error=str(error))
            finally:
                self._let_go()
                await connection.disconnect(nowait=True)
            await asyncio.sleep(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
            failures += 1

    def _take_over(self, connection: Any) -> None:
        self._subscriber, self._heard_at = connection, time.monotonic()
        self._asked = [("SUBSCRIBE", channel) for channel in self._channels]
        self._send_asked()
        log.info("bus.subscribed", channels=len(self._channels))
        lost, self._lost = self._lost, set()
        self._returned(lost)

    def _let_go(self) -> None:
        self._subscriber = None
        for waiting in self._confirming.values():
            for confirmed in waiting:
                if not confirmed.done():
                    confirmed.set_result(None)
        self._confirming.clear()

    async def _reading(self, connection: Any) -> None:
        while True:
            kind, channel, body = (await connection.read_response(timeout=math.inf))[:3]
            self._heard_at = time.monotonic()
            if kind == b"message":
                self._receive(channel.decode(), body)
            elif kind == b"subscribe":
                for confirmed in self._confirming.pop(channel.decode(), ()):
                    if not confirmed.done():
                        confirmed.set_result(None)

    async def _pinging(self, connection: Any) -> None:
        while True:
            await asyncio.sleep(_PING_S)
            if time.monotonic() - self._heard_at > _SILENT_S:
                raise redis.ConnectionError("Redis has fallen silent")
            await connection.send_packed_command(connection.pack_command("PING"), check_health=False)

    async def _publishing(self) -> None:
        failures = 0
        while True:
            connection = _connection()
            try:
                await connection.connect()
                failures = 0
                while True:
                    await self._publish_next(connection)
            except _AWAY as error:
                log.warning("bus.publisher_lost", error=str(error))
            finally:
                await connection.disconnect(nowait=True)
            await asyncio.sleep(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
            failures += 1

    async def _publish_next(self, connection: Any) -> None:
        """Send everything that is waiting; the next batch gathers meanwhile."""
        self._wake.clear()
        if not self._unsent:
            await self._wake.wait()
        batch, self._unsent = self._unsent, []
        try:
            arguments = [argument for command in batch for argument in command]
            command = connection.pack_command("EVAL", _ALL, 0, *arguments)
            await connection.send_packed_command(command, check_health=False)
            await connection.read_response(timeout=5.0)
        except BaseException:
            self._lost.update(key for command, key, _ in batch if command == "PUBLISH")
            raise


def _connection() -> Any:
    pool: Any = redis.asyncio.ConnectionPool.from_url(
        settings.REDIS_URL, protocol=2, socket_timeout=None, socket_connect_timeout=2.0
    )
    return pool.make_connection()  # its two commands, without the client's bookkeeping around each
