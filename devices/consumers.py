"""`/ws` (DEV-1 to DEV-23): the frames of one socket, in order and one at a time. It parses, calls one verb, sends.

It stands in Channels' routing without the per-event machinery of a stock consumer: one loop per connection, no channel
layer, and no thread for a frame that touches no database.
"""

import asyncio
from http.cookies import CookieError, SimpleCookie
from typing import Any

import structlog
from django.conf import settings

from devices import admission, entry, handlers, limits, notices
from devices.admission import Admission
from devices.errors import TooManyUnauthenticated
from devices.limits import Allowance, Deadlines
from devices.reception import Reception, here
from sessions_app import drain
from sessions_app.access import addresses, revocations
from sessions_app.errors import Draining, Internal, RoleForbidden
from sessions_app.fanout import frames
from sessions_app.kinds import DomainError, RateLimited
from sessions_app.protocol import Message, MessageType
from sessions_app.sockets import codecs, connection, handshake
from sessions_app.sockets.connection import Connection
from sessions_app.sockets.handshake import UNSENT, Receive, Scope, Send
from sessions_app.sockets.socket_errors import NotAuthenticated, UnknownSubprotocol
from sessions_app.sockets.threads import cross

_FAILURE_CLOSES = {400: 4400, 401: 4401, 403: 4403, 404: 4404, 409: 4404, 429: 4429, 500: 1011, 503: 1013}  # DEV-20

log = structlog.get_logger(__name__)


async def device_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """One connection from its handshake to its end."""
    await receive()  # websocket.connect
    reception = here()
    address = addresses.of_scope(scope)
    try:
        codec, echoed = _admissible(scope, reception, address)
    except DomainError as error:
        await handshake.refuse(send, error)
        return
    await send({"type": "websocket.accept", "subprotocol": echoed})
    unsent = scope.get("extensions", {}).get(UNSENT, lambda: 0)  # a server that does not tell has no patience either
    talk = Socket(Connection(send, codec, ip=address, unsent=unsent), reception, _staff_cookie(scope))
    scope.clear()  # which lives as long as the socket, and is read no more
    await talk.serve(receive)


class Socket:
    """The conversation on one socket."""

    __slots__ = ("_allowance", "_deadlines", "_early", "_here", "_malformed", "_one", "_staff_cookie")

    def __init__(self, one: Connection, reception: Reception, staff_cookie: str | None) -> None:
        self._one, self._here, self._staff_cookie = one, reception, staff_cookie
        self._allowance = Allowance(one.heard_at, rate_per_s=settings.WS_RATE_PER_S, burst=settings.WS_BURST)
        self._deadlines = Deadlines(one, auth_within_s=settings.WS_AUTH_TIMEOUT_S, silence_s=settings.PRESENCE_TTL_S)
        self._malformed = self._early = 0

    async def serve(self, receive: Receive) -> None:
        """Handle frames until the socket closes."""
        self._here.open(self._one)
        self._here.wheel.watch(self._deadlines, self._deadlines.first)
        event: Any = {}
        try:
            while (event := await receive())["type"] != "websocket.disconnect":
                if not self._one.outbox.is_closing and not self._here.is_draining:
                    self._one.is_busy = True
                    await self._take(event)
                    self._one.is_busy = False
        finally:
            self._here.wheel.forget(self._deadlines)
            await entry.leave(self._one, self._here, event)

    async def _take(self, event: Any) -> None:
        """One frame; every error about it is answered here (DEV-65)."""
        one = self._one
        data = event.get(one.codec.event_key)
        if data is None:
            one.close(connection.UNSUPPORTED)
        elif not self._fits(data):
            one.close(connection.TOO_BIG)
        elif (message := self._read(data)) is not None:
            try:
                await self._handle(message)
            except DomainError as error:
                self._refuse(error, message.correlation_id)
            except Exception:
                log.exception("ws.frame_failed", connection_id=one.connection_id, type=message.type)
                stays = one.caller is not None
                one.answer(frames.error(Internal(), recoverable=stays), message.correlation_id)
                if not stays:
                    one.close(connection.INTERNAL)

    def _read(self, data: Any) -> Message | None:
        """The message; None for a malformed one, of which there may be few (DEV-6, DEV-11)."""
        try:
            message: Message = self._one.codec.read(data)
            return message
        except DomainError as error:
            self._malformed += 1
            self._one.heard += 1
            is_last = self._malformed >= limits.MAX_MALFORMED
            self._one.answer(frames.error(error, recoverable=not is_last), error.members.get("correlation_id"))
            if is_last:
                self._one.close(connection.MALFORMED)
            return None

    async def _handle(self, message: Message) -> None:
        one = self._one
        one.heard += 1
        now = asyncio.get_running_loop().time()
        if not self._allowance.spend(now):
            raise RateLimited("Too many frames.", retry_after=1)
        if one.caller is not None:
            one.heard_at, one.was_heard = now, True
        message.check_type()
        if message.type == MessageType.AUTH:
            await self._authenticate(message)
            return
        self._check_standing(message)
        await handlers.HANDLERS[message.type](one, self._here, message)

    def _check_standing(self, message: Message) -> None:
        """What this connection may send. Raises NotAuthenticated, IdentityMismatch, RoleForbidden."""
        one, is_heartbeat = self._one, message.type == MessageType.HEARTBEAT
        if one.caller is None:
            if not is_heartbeat:
                raise NotAuthenticated
            return
        message.check_identity(one.session_id, one.user_id, one.device_id)
        if one.is_admin and not is_heartbeat:
            raise RoleForbidden

    async def _authenticate(self, message: Message) -> None:
        """AUTH, first or again; whatever is wrong with it ends the connection (DEV-20)."""
        one = self._one
        try:
            if one.caller is None:
                await entry.enter(one, self._here, await self._admit(message), message)
            else:
                before = Admission(one.caller, one.user_id, one.session_id, one.device_id, is_admin=one.is_admin)
                entry.renew(one, await cross(admission.readmit, message, before), message)
        except DomainError as error:
            one.answer(frames.auth_failure(error), message.correlation_id)
            one.close(_FAILURE_CLOSES[error.status])
            return
        self._staff_cookie = None
        notices.close_if_revoked(one)  # what was told while AUTH was under way met a socket of nobody
        now = asyncio.get_running_loop().time()
        self._here.wheel.watch(self._deadlines, self._deadlines.authenticated(now))

    async def _admit(self, message: Message) -> Admission:
        """Who this is; in a thread only where the database may be asked."""
        if revocations.is_fresh() and message.payload.get("token"):
            return admission.admit(message, staff_cookie=self._staff_cookie)
        return await cross(admission.admit, message, staff_cookie=self._staff_cookie)

    def _refuse(self, error: DomainError, correlation_id: str | None) -> None:
        """Answer with ERROR, or close on a client that does not learn."""
        one = self._one
        if isinstance(error, NotAuthenticated):
            self._early += 1
            if self._early > limits.MAX_EARLY:
                one.close(connection.UNAUTHENTICATED)
                return
        too_often = isinstance(error, RateLimited) and self._allowance.drop(asyncio.get_running_loop().time())
        one.answer(frames.error(error, recoverable=not too_often), correlation_id)
        if too_often:
            one.close(connection.TOO_MANY)

    def _fits(self, data: str | bytes) -> bool:
        most = settings.WS_MAX_SIZE if self._one.caller else limits.MAX_BEFORE_AUTH_BYTES
        if isinstance(data, str) and not data.isascii():
            return len(data) <= most and len(data.encode()) <= most
        return len(data) <= most


def _admissible(scope: Scope, reception: Reception, address: str) -> tuple[Any, str | None]:
    """The codec and the subprotocol to echo. Raises what refuses the upgrade (DEV-2, DEV-3, DEV-6)."""
    if drain.is_draining():
        raise Draining
    handshake.check_origin(scope)
    chosen = codecs.chosen(scope.get("subprotocols") or [])
    if chosen is None:
        raise UnknownSubprotocol
    if reception.unauthenticated[address] >= settings.WS_MAX_UNAUTHENTICATED_PER_IP:
        raise TooManyUnauthenticated
    return chosen


def _staff_cookie(scope: Scope) -> str | None:
    """The session cookie of a handshake that also had an (accepted) Origin (DEV-70)."""
    headers = handshake.headers_of(scope)
    if "origin" not in headers or "cookie" not in headers:
        return None
    try:
        morsel = SimpleCookie(headers["cookie"]).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return None
    return morsel.value if morsel else None
