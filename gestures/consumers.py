"""`/ws/capture` (GES section 2): receives, feeds the capture's machine, sends. It knows no rule of captures."""

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any

from django.conf import settings

from gestures import capture, protocol
from gestures.ingest import running
from gestures.ingest.conductor import Conductor, now
from gestures.machine import moves
from sessions_app import jsonwire
from sessions_app.access import auth
from sessions_app.access.auth import Caller
from sessions_app.kinds import DomainError, RateLimited, Unauthenticated
from sessions_app.sockets import handshake
from sessions_app.sockets.handshake import Receive, Scope, Send
from sessions_app.sockets.threads import cross

UNAUTHENTICATED, TOO_MANY = 4401, 4429


async def capture_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """One connection, which carries one capture (GES-6)."""
    await receive()  # websocket.connect
    try:
        handshake.check_origin(scope)
    except DomainError as refusal:
        await handshake.refuse(send, refusal)
        return
    await send({"type": "websocket.accept"})
    try:
        caller = await _caller(handshake.headers_of(scope))
    except Unauthenticated:
        await send({"type": "websocket.close", "code": UNAUTHENTICATED})
        return
    with ExitStack() as held:
        socket = Socket(receive, send, held)
        if caller is not None and not socket.admits(caller):
            await send({"type": "websocket.close", "code": TOO_MANY})
            return
        await socket.serve(caller)


class Socket:
    """The transport of one capture: text and binary frames in, JSON messages and one close out."""

    def __init__(self, receive: Receive, send: Send, held: ExitStack) -> None:
        self._receive, self._send, self._held = receive, send, held

    async def serve(self, caller: Caller | None) -> None:
        """Conduct the capture until the socket closes."""
        open_door = caller is not None and caller.is_anonymous
        start = capture.connected(now(), authenticated=caller is not None, token_welcome=open_door)
        await Conductor(start, self.tell, caller).run(self.read)

    def admits(self, caller: Caller) -> bool:
        """Count this connection among the caller's own; False if there are too many."""
        return self._held.enter_context(running.here().connection_of(caller.name))

    async def read(self) -> moves.Event:
        """The client's next message."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            return moves.Disconnected()
        if (text := message.get("text")) is not None:
            return protocol.parse(text)
        return moves.Frame(message.get("bytes") or b"")

    async def tell(self, conductor: Conductor, action: moves.Action) -> None:
        """Carry out what concerns the client."""
        match action:
            case moves.Authenticate():
                await conductor.handle(await self._authenticate(conductor, action.token))
            case moves.Acknowledge():
                await self._say(conductor, protocol.ack(conductor.capture.open, action))
            case moves.Complete():
                assert conductor.stored is not None
                await self._say(conductor, protocol.completed(conductor.capture.open, conductor.stored))
            case moves.Abort():
                await self._say(conductor, protocol.abort(conductor.capture.open, action.error))
            case moves.Complain():
                await self._say(conductor, protocol.complaint(action.error))
            case moves.HangUp():
                await self._put(conductor, {"type": "websocket.close", "code": action.code})

    async def _authenticate(self, conductor: Conductor, token: str) -> moves.Event:
        try:
            caller = await cross(auth.from_token, token)
        except Unauthenticated as refusal:
            return moves.Failed(refusal)
        conductor.caller = caller
        return moves.Authenticated() if self.admits(caller) else moves.Failed(RateLimited())

    async def _say(self, conductor: Conductor, message: dict[str, Any]) -> None:
        await self._put(conductor, {"type": "websocket.send", "text": jsonwire.dumps(message).decode()})

    async def _put(self, conductor: Conductor, message: dict[str, Any]) -> None:
        """Send. If the client is gone, `read` tells so in its turn: what it sent before it left still counts."""
        if conductor.capture.connected:
            with suppress(OSError, RuntimeError):
                await self._send(message)


async def _caller(headers: Mapping[str, str]) -> Caller | None:
    """Who the handshake says is calling; None if that is still to be said. Raises Unauthenticated."""
    if settings.AUTH_REQUIRED and not {"authorization", "x-api-key"} & headers.keys():
        return None
    return await cross(auth.authenticate, headers)
