"""Views whose answer may wait (POD-16, POD-21, POD-28), served ahead of Django's own handling.

While an answer waits no thread and no database connection is held: a waiting request is one entry in a table, woken by
the news of its session.
"""

import asyncio
import io
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.handlers.asgi import ASGIRequest

from routing import inbox
from routing.pod.notices import Listener, Waiter, Waiters
from routing.pod.pod_endpoint import Held
from sessions_app import drain
from sessions_app.sockets.threads import cross_in
from sessions_app.threads import Threads

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
View = Callable[..., Any]

FIXED_WORDS = r"(?:create|snapshot|incremental)\Z"  # POD-75: these are never ids
THREADS = 6  # below DB_POOL_MAX: each may hold a connection, and others need some too
MOST_BODY_BYTES = 65_536 + 1  # POD-2: one more, so that the view sees that it is too much
LOOK_S = 5.0  # even without news
DEAF_LOOK_S = 1.0  # while Redis brings none

_threads = Threads("held", most=THREADS)


@dataclass(frozen=True, slots=True)
class Route:
    """A method of a path `/session/<id><suffix>` and the view that serves it; the id's form is the view's business."""

    method: str
    suffix: str
    view: View

    def session_of(self, scope: Scope) -> str | None:
        """The id in the path, if the request is for this route."""
        path = re.fullmatch(rf"/session/(?!{FIXED_WORDS})([^/]+){re.escape(self.suffix)}", scope["path"])
        return path[1] if path and scope["method"] == self.method else None


def ahead(routes: Sequence[Route], otherwise: App) -> App:
    """Serve `routes`, and everything else by `otherwise`."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        for route in routes:
            if (session_id := route.session_of(scope)) is not None:
                scope["route"] = f"session/<session_id>{route.suffix}"
                await _serve(route.view, session_id, scope, receive, send)
                return
        await otherwise(scope, receive, send)

    return wrapped


class News:
    """The news that reach the running loop: one subscription for all who wait."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.waiters = Waiters()
        self.listener = Listener(inbox.NEWS, self.waiters.heard)
        self._task = self.loop.create_task(self.listener.run())


_news: News | None = None


def _here() -> News:
    global _news
    if _news is None or _news.loop is not asyncio.get_running_loop():
        _news = News()
    return _news


async def _serve(view: View, session_id: str, scope: Scope, receive: Receive, send: Send) -> None:
    body = await _body(receive)
    if body is None:
        return
    news = _here()
    with news.waiters.waiting(session_id) as waiter:  # before the view looks: what comes after its look is heard
        request = ASGIRequest(scope, io.BytesIO(body))
        response = await cross_in(_threads, _rendered, view, request, session_id=session_id)
        if _may_get_better(response):
            response = await _better(response, waiter, news.listener, receive)
    if response is not None:
        await _send(response, send)


async def _better(held: Held, waiter: Waiter, listener: Listener, receive: Receive) -> Any:
    """What the answer has become when there is something to tell or time is up; None when nobody listens any more."""
    until = time.monotonic() + held.within_s
    left = asyncio.create_task(_gone(receive))
    try:
        while True:
            patience = LOOK_S if listener.is_connected else DEAF_LOOK_S
            news = asyncio.create_task(waiter.event.wait())
            remaining = max(0.0, until - time.monotonic())
            await asyncio.wait({news, left}, timeout=min(patience, remaining), return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
            if left.done():
                return None
            for told in waiter.all_told():
                if (response := held.hear(told)) is not None:
                    return response.render()
            is_last = time.monotonic() >= until or drain.is_draining()
            response = await cross_in(_threads, _looked, held, is_last)
            if response is not None:
                return response
    finally:
        left.cancel()


def _rendered(view: View, request: ASGIRequest, **kwargs: Any) -> Any:
    response = view(request, **kwargs)
    if not _may_get_better(response):
        response.render()
    return response


def _may_get_better(response: Any) -> bool:
    return isinstance(response, Held) and response.within_s > 0


def _looked(held: Held, is_last: bool) -> Any:
    response = held.again(is_last)
    return None if response is None else response.render()


async def _body(receive: Receive) -> bytes | None:
    """The body, cut one byte past what may be read; None when the client has left."""
    body, more = b"", True
    while more and len(body) < MOST_BODY_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body[:MOST_BODY_BYTES]


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # the rest of a body that was too long


async def _send(response: Any, send: Send) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    content = response.content
    headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": content})
