"""Django behind ASGI with one crossing to a thread for a whole request.

Django's own handler runs middleware on the event loop and crosses twice for each one that is written synchronously, as
most are: on a small server that is most of a request's time.
"""

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from servestatic.middleware import ServeStaticMiddleware


class Handler(ASGIHandler):
    """Static files from the event loop, all else from a thread."""

    def __init__(self) -> None:
        super().__init__()
        self._static = ServeStaticMiddleware(self._in_a_thread)

    def load_middleware(self, is_async: bool = False) -> None:
        """As a chain of plain calls, whatever is asked."""
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """A file, or what the middleware and the view make."""
        response: HttpResponseBase = await self._static(request)
        return response

    async def _in_a_thread(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)
