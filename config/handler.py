"""Django behind ASGI with one crossing to a thread for a whole request, and threads that stay.

Django's own handler runs middleware on the event loop and crosses twice for each one that is written synchronously, as
most are. It also starts a thread for each request and one more to end it; whatever a library keeps for each thread
(connections, coordinate transformations) is then made for one request only. On a small server that was most of a
request's time.
"""

from typing import Any

from asgiref.sync import sync_to_async
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix
from servestatic.middleware import ServeStaticMiddleware

from sessions_app.threads import Threads

_threads = Threads("django")


class Handler(ASGIHandler):
    """Static files from the event loop, all else from a thread."""

    def __init__(self) -> None:
        super().__init__()
        self._static = ServeStaticMiddleware(self._in_a_thread)

    def load_middleware(self, is_async: bool = False) -> None:
        """As a chain of plain calls, whatever is asked."""
        super().load_middleware(is_async=False)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one request; a client that leaves meanwhile changes nothing, as no thread can be stopped."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with body:
            set_script_prefix(get_script_prefix(scope))
            request, refusal = self.create_request(scope, body)
            response = await self._static(request) if refusal is None else refusal
            try:
                await self.send_response(response, send)
            finally:
                if not response.closed:
                    self._close(response)

    async def _in_a_thread(self, request: HttpRequest) -> HttpResponseBase:
        crossed = sync_to_async(self._served, thread_sensitive=False, executor=_threads)  # type: ignore[call-overload]
        response: HttpResponseBase = await crossed(request)
        return response

    def _served(self, request: Any) -> HttpResponseBase:
        """The answer, with all that the request held given back before it is sent."""
        signals.request_started.send(sender=type(self), scope=request.scope)
        response = self.get_response(request)
        if not response.streaming:
            self._close(response)
        return response

    def _close(self, response: Any) -> None:
        response._handler_class = type(self)  # the sender of request_finished
        response.close()
