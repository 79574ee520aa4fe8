"""What every HTTP answer has, whoever made it: a request id, security headers, one log line (OPS-51, OPS-59)."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from sessions_app import context, jsonwire
from sessions_app.errors import Internal, MalformedJson
from sessions_app.http import hosts, problems
from sessions_app.kinds import DomainError

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Django spools a body to disk before a view sees it. Nothing Django serves reads more than 2 MiB (STA-18), so a body is
# cut one byte past that: the view then answers 413 in its turn, and a flood fills no disk.
MOST_BODY_BYTES = 2_097_152

_API_POLICY = "default-src 'none'; frame-ancestors 'none'"
_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_FIXED = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
)

# Asked every few seconds by whatever watches the process; a line each would bury the rest.
PROBES = ("/livez", "/readyz", "/health")

log = structlog.get_logger("http")


def outermost(app: App) -> App:
    """Wrap the whole HTTP side."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        offered = headers.get(b"x-request-id")
        request_id = context.new_request_id(offered.decode("latin-1") if offered else None)
        context.request_id.set(request_id)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started, status = time.monotonic(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                ours = _with_ours(scope["path"], request_id, list(message.get("headers", [])))
                message = {**message, "headers": ours}
            await send(message)

        try:
            await app(scope, receive, sending)
        except Exception as error:
            log.error("request.failed", error=repr(error), exc_info=error)
            if status:
                raise  # too late to say so in another way than by breaking off
            # What Django cannot answer for: nothing but the request id is told (OPS-57).
            await _answer(sending, Internal())
        finally:
            tell = log.debug if scope["path"] in PROBES else log.info
            tell(
                "request.finished",
                method=scope["method"],
                route=scope.get("route", ""),
                status=status,
                duration_ms=round((time.monotonic() - started) * 1000, 1),
            )
            structlog.contextvars.clear_contextvars()

    return wrapped


async def _answer(send: Send, problem: DomainError) -> None:
    body = jsonwire.dumps(problems.document(problem))
    told = {"content-type": problems.MEDIA_TYPE, "content-length": str(len(body)), **problems.headers(problem)}
    headers = [(name.lower().encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def routed(raw: Mapping[tuple[str, str], App], otherwise: App) -> App:
    """Serve some methods of some paths ahead of Django, whose handling of bodies must not touch them."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        await raw.get((scope["method"], scope["path"]), otherwise)(scope, receive, send)

    return wrapped


def for_served_hosts(app: App) -> App:
    """Refuse what names another host, as Django's own views do, before anybody reads a body."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if all(map(hosts.is_served, named)):
            await app(scope, receive, send)
        else:
            await _answer(send, MalformedJson("The request names a host that is not served here."))

    return wrapped


def bounded(app: App) -> App:
    """Hand `app` at most one byte more than it may read."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        left = MOST_BODY_BYTES + 1

        async def receiving() -> Message:
            nonlocal left
            message = await receive()
            while left == 0 and message["type"] == "http.request":
                message = await receive()  # the rest is read, so that the client hears the answer, and dropped
            if message["type"] == "http.request":
                body = message.get("body", b"")[:left]
                left -= len(body)
                message = {**message, "body": body, "more_body": message.get("more_body", False) and left > 0}
            return message

        await app(scope, receiving, send)

    return wrapped


def _with_ours(path: str, request_id: str, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    present = {name.lower(): value for name, value in headers}
    request_id = present.get(b"x-request-id", request_id.encode()).decode()  # golf reads it from the body (ADV-7)
    is_page = present.get(b"content-type", b"").startswith(b"text/html")
    ours = [
        *_FIXED,
        ("x-request-id", request_id),
        ("referrer-policy", "same-origin" if path.startswith("/admin") else "no-referrer"),
        ("permissions-policy", _permissions(path)),
        ("content-security-policy", _PAGE_POLICY if is_page else _API_POLICY),
    ]
    kept = [(name, value) for name, value in headers if name.lower() not in {n.encode() for n, _ in ours[:-1]}]
    if b"content-security-policy" in present:
        ours.pop()
    return kept + [(name.encode(), value.encode()) for name, value in ours]


def _permissions(path: str) -> str:
    camera = "(self)" if path.startswith("/demo/") else "()"
    return f"camera={camera}, microphone=(), geolocation=()"
