"""uvicorn's WebSocket protocol, able to part from a client that has stopped reading (DEV-5, DEV-51), and smaller.

An idle connection costs what stands around waiting. uvicorn's queue and events hold five deques of 600 bytes each:
Inbox and Gate do the same for the one reader and the few writers a socket has. Its timers are the wheel's. What the
handshake said is dropped once it has been answered.
"""

import asyncio
import fcntl
import sys
import termios
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from sessions_app.sockets import handshake, wheel

CLOSING_S = 10.0  # for the client's half of the closing handshake


class Inbox:
    """What has come and is not read yet; `asyncio.Queue` for one reader."""

    __slots__ = ("_events", "_reader")

    def __init__(self) -> None:
        self._events: list[Any] = []
        self._reader: asyncio.Future[None] | None = None

    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._events

    def put_nowait(self, event: Any) -> None:
        """Add an event and wake the reader."""
        self._events.append(event)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> Any:
        """The oldest event, as soon as there is one."""
        if not self._events:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._events.pop(0)


class Gate:
    """Whether the transport takes more; `asyncio.Event` for the few that wait at a time."""

    __slots__ = ("_is_open", "_waiting")

    def __init__(self) -> None:
        self._is_open = True
        self._waiting: list[asyncio.Future[None]] | None = None

    def clear(self) -> None:
        """Close it."""
        self._is_open = False

    def set(self) -> None:
        """Open it and let everybody through."""
        self._is_open = True
        waiting, self._waiting = self._waiting or (), None
        for one in waiting:
            if not one.done():
                one.set_result(None)

    async def wait(self) -> None:
        """Return while it is open."""
        while not self._is_open:
            one = asyncio.get_running_loop().create_future()
            self._waiting = [*(self._waiting or ()), one]
            await one


class SocketProtocol(WebSocketsSansIOProtocol):
    """As its parent, but a close never waits for room in a buffer nobody empties, and it is the wheel that pings."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue: Any = Inbox()
        self.writable: Any = Gate()
        self.due_at = 0

    def handle_connect(self, event: Any) -> None:
        """Offer the application to look at what waits for the client (DEV-51)."""
        super().handle_connect(event)
        if self.handshake_initiated and not self.close_sent:
            offered: dict[str, Any] = self.scope["extensions"] or {}
            offered[handshake.UNSENT] = self.unsent

    def unsent(self) -> int:
        """Bytes the client has not taken yet, in this process's buffer and in the kernel's, which is far larger."""
        if self.transport.is_closing():
            return 0
        descriptor = self.transport.get_extra_info("socket").fileno()
        in_kernel = int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        return in_kernel + self.transport.get_write_buffer_size()

    async def send(self, message: Any) -> None:
        """ASGI's send. A close is written behind whatever the buffer holds, and the connection cut if that stays."""
        kind = message["type"]
        if kind == "websocket.close":
            self.writable.set()
        await super().send(message)
        if kind == "websocket.accept":
            self._forget_the_handshake()
        elif kind == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True  # refused; the parent would log a handshake that nobody answered
        elif kind == "websocket.close" and self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(CLOSING_S, self.transport.abort)

    def schedule_ping(self) -> None:
        """Let the wheel look again in an interval."""
        assert self.ping_interval is not None
        wheel.here().watch(self, self.loop.time() + self.ping_interval)

    def stop_keepalive(self) -> None:
        """Nobody is pinged any more."""
        super().stop_keepalive()
        wheel.here().forget(self)

    def check(self, now: float) -> None:
        """The wheel's look: ping, or give up a client that has left the last ping unanswered (DEV-5)."""
        if self.pending_ping_payload is None:
            self.send_keepalive_ping()
        else:
            self.keepalive_timeout()

    def keepalive_timeout(self) -> None:
        """No pong in time: whatever is still buffered will never be taken."""
        super().keepalive_timeout()
        self.transport.abort()

    def _forget_the_handshake(self) -> None:
        self.request.headers.clear()  # the parser keeps the request
        self.response.headers.clear()
        self.scope.clear()  # type: ignore[attr-defined]  # the routed application has one of its own
