"""The opening of a socket: who may knock, and how a refusal looks before the upgrade (DEV-2, DEV-3, GES-8)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from sessions_app import jsonwire
from sessions_app.errors import UnknownPath
from sessions_app.http import hosts, problems
from sessions_app.kinds import DomainError
from sessions_app.sockets.socket_errors import OriginRefused

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

UNSENT = "baton.unsent"  # the scope's extension that tells how many bytes the server still holds for the socket

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SECURE = {"ws": "http", "wss": "https"}


def headers_of(scope: Scope) -> dict[str, str]:
    """The request's headers under lower-case names; of a repeated one the last."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def check_origin(scope: Scope) -> None:
    """A browser may connect from the served host or a listed origin; other clients send no Origin.

    Raises OriginRefused.
    """
    origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
    if not origins:
        return
    origin = _parts(origins[0]) if len(origins) == 1 else None
    if origin is None or origin not in {_own(scope), *(_parts(allowed) for allowed in settings.ALLOWED_ORIGINS)}:
        raise OriginRefused


async def refuse(send: Send, error: DomainError) -> None:
    """Answer the handshake with the problem instead of an upgrade."""
    headers = {"content-type": problems.MEDIA_TYPE, **problems.headers(error)}
    await send(
        {
            "type": "websocket.http.response.start",
            "status": error.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "websocket.http.response.body", "body": jsonwire.dumps(problems.document(error))})


async def unknown_path(scope: Scope, receive: Receive, send: Send) -> None:
    """The route of all sockets that have none."""
    await receive()
    await refuse(send, UnknownPath())


def _own(scope: Scope) -> tuple[str, str, int] | None:
    """Scheme, host and port the client used; None if that host is not served here."""
    host = headers_of(scope).get("host", "")
    if not hosts.is_served(host):
        return None
    return _parts(f"{_SECURE.get(scope.get('scheme', 'ws'), 'http')}://{host}")


def _parts(origin: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an origin; None for what is none, such as `null`."""
    try:
        found: SplitResult = urlsplit(origin)
        port = found.port or _DEFAULT_PORTS.get(found.scheme)
    except ValueError:
        return None
    if not found.scheme or not found.hostname or port is None or found.path or found.query or "@" in found.netloc:
        return None
    return found.scheme, found.hostname, port
