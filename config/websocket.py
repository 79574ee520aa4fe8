"""uvicorn's WebSocket protocol, able to part from a client that has stopped reading (DEV-5, DEV-51)."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

CLOSING_S = 10.0  # for the client's half of the closing handshake


class SocketProtocol(WebSocketsSansIOProtocol):
    """As its parent, but a close never waits for room in a buffer that nobody empties."""

    async def send(self, message: Any) -> None:
        """ASGI's send. A close is written behind whatever the buffer holds, and the connection cut if that stays."""
        if message["type"] != "websocket.close":
            await super().send(message)
            return
        self.writable.set()
        await super().send(message)
        if self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(CLOSING_S, self.transport.abort)

    def keepalive_timeout(self) -> None:
        """No pong in time: whatever is still buffered will never be taken."""
        super().keepalive_timeout()
        self.transport.abort()
