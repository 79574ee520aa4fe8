"""Door to Redis pub/sub: what the web processes tell each other (STA-66). At most once, and never waited for.

One connection subscribes, one publishes; commands of one turn of the loop travel together. What was committed before a
break of the publishing connection is sent again once; while Redis stays away nothing is kept but the names of what
could not be told.
"""

import asyncio
import contextlib
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import hiredis
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
Command = tuple[str, str, bytes | int]  # with a key, or a channel, and a value


class Bus:
    """The process's two connections to Redis. What is no coroutine is called on the loop and returns at once."""

    def __init__(self, *, receive: Receiver, missed: Callable[[], None], lost: Callable[[set[str]], None]) -> None:
        """`receive` gets channel and body. After a break `missed` says that others may have told something meanwhile,
        `lost` names the channels on which this process could not."""
        self._receive, self._missed, self._tell_lost = receive, missed, lost
        self._channels: set[str] = set()
        self._asked: list[tuple[str, str]] = []  # SUBSCRIBE and UNSUBSCRIBE of this turn
        self._unconfirmed: Counter[str] = Counter()  # subscriptions asked for and not confirmed yet
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._unsent: list[Command] = []
        self._lost: set[str] = set()
        self._is_away = False  # the last attempt to connect for publishing has failed
        self._wake = asyncio.Event()
        self._subscriber: Any = None
        self._heard_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Connect, and go on connecting."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep(self._subscribing)), loop.create_task(self._keep(self._publishing))]

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
        if self._is_away or len(self._unsent) >= MAX_UNSENT:
            self._lost.add(channel)
        else:
            self.send("PUBLISH", channel, body)

    def send(self, command: str, key: str, value: bytes | int) -> None:
        """Send a command whose answer does not matter."""
        if not self._unsent:
            self._wake.set()
        self._unsent.append((command, key, value))

    def subscribe(self, channel: str) -> None:
        """Receive what is published on `channel`."""
        self._channels.add(channel)
        self._ask("SUBSCRIBE", channel)

    def unsubscribe(self, channel: str) -> None:
        """Receive it no longer."""
        self._channels.discard(channel)
        self._ask("UNSUBSCRIBE", channel)

    async def subscribed(self, channel: str, *, within_s: float = 1.0) -> None:
        """Wait until Redis has confirmed the subscription to `channel`; with Redis away, do not wait."""
        if self._subscriber is None or not self._unconfirmed[channel]:
            return
        confirmed = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(channel, []).append(confirmed)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(confirmed, within_s)

    def _ask(self, command: str, channel: str) -> None:
        if self._subscriber is None:
            return
        if not self._asked:
            asyncio.get_running_loop().call_soon(self._send_asked)
        self._asked.append((command, channel))
        self._unconfirmed[channel] += command == "SUBSCRIBE"

    def _send_asked(self) -> None:
        asked, self._asked = self._asked, []
        if self._subscriber is not None and asked:
            # Written, not awaited: the buffer of a connection that only subscribes does not fill up.
            self._subscriber._writer.writelines(self._subscriber.pack_commands(asked))

    async def _keep(self, work: Callable[[Any], Awaitable[None]]) -> None:
        """Do `work` on a connection, and again on a new one whenever that breaks."""
        failures = 0
        while True:
            connection, connected = _connection(), False
            try:
                await connection.connect()
                connected = True
                await work(connection)
            except _AWAY as error:
                log.warning("bus.connection_lost", work=work.__name__, error=str(error))
            except Exception:
                log.exception("bus.defect", work=work.__name__)
            finally:
                await connection.disconnect(nowait=True)
            failures = 0 if connected else failures + 1
            if failures:
                self._give_up_unsent()
            await asyncio.sleep(_RETRY_S[min(failures, len(_RETRY_S) - 1)])

    async def _subscribing(self, connection: Any) -> None:
        self._subscriber, self._heard_at = connection, time.monotonic()
        self._unconfirmed = Counter(self._channels)
        self._asked = [("SUBSCRIBE", channel) for channel in self._channels]
        self._send_asked()
        log.info("bus.subscribed", channels=len(self._channels))
        self._missed()
        pinging = asyncio.get_running_loop().create_task(self._pinging(connection))
        try:
            while True:
                self._take(await connection.read_response(timeout=math.inf))
        finally:
            pinging.cancel()
            self._subscriber = None
            for channel in list(self._waiting):
                self._confirm(channel)

    def _take(self, answer: list[bytes]) -> None:
        self._heard_at = time.monotonic()
        if answer[0] == b"message":
            self._receive(answer[1].decode(), answer[2])
        elif answer[0] == b"subscribe":
            channel = answer[1].decode()
            self._unconfirmed[channel] -= 1
            if self._unconfirmed[channel] <= 0:
                del self._unconfirmed[channel]
                self._confirm(channel)

    def _confirm(self, channel: str) -> None:
        for confirmed in self._waiting.pop(channel, ()):
            if not confirmed.done():
                confirmed.set_result(None)

    async def _pinging(self, connection: Any) -> None:
        while True:
            await asyncio.sleep(_PING_S)
            if time.monotonic() - self._heard_at > _SILENT_S:
                log.warning("bus.silent")
                await connection.disconnect(nowait=True)  # which ends the reading
                return
            await connection.send_packed_command(connection.pack_command("PING"), check_health=False)

    async def _publishing(self, connection: Any) -> None:
        self._is_away = False
        lost, self._lost = self._lost, set()
        if lost:
            self._tell_lost(lost)
        while True:
            self._wake.clear()
            if not self._unsent:
                await self._wake.wait()
            batch, self._unsent = self._unsent, []
            try:
                await self._send_all(connection, batch)
            except BaseException:
                self._unsent = batch + self._unsent
                raise

    @staticmethod
    async def _send_all(connection: Any, batch: list[Command]) -> None:
        arguments = [argument for command in batch for argument in command]
        # The client's own way takes four times as long.
        packed = hiredis.pack_command(("EVAL", _ALL, 0, *arguments))  # type: ignore[arg-type]  # any number of them
        await connection.send_packed_command(packed, check_health=False)
        await connection.read_response(timeout=5.0)

    def _give_up_unsent(self) -> None:
        """Redis does not come back at once: remember only where something was lost."""
        self._is_away = True
        self._lost.update(key for command, key, _ in self._unsent if command == "PUBLISH")
        self._unsent = []


def _connection() -> Any:
    pool: Any = redis.asyncio.ConnectionPool.from_url(
        settings.REDIS_URL, protocol=2, socket_timeout=None, socket_connect_timeout=2.0
    )
    return pool.make_connection()  # its two commands, without the client's bookkeeping around each
