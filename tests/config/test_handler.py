"""Django behind ASGI: what a request holds is given back before its answer is sent."""

import asyncio
from typing import Any

import pytest
from django.core import signals
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from config.handler import Handler
from sessions_app import context

heard: list[str] = []


@csrf_exempt
def named(request: Any) -> HttpResponse:
    context.request_id.set("from-the-body")
    return HttpResponse(request.body)


urlpatterns = [path("named", named)]


async def asked(
    handler: Handler, *messages: dict[str, Any], method: str = "POST", path: str = "/named"
) -> list[dict[str, Any]]:
    headers = [(b"host", b"localhost")]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
    incoming, sent = list(messages), []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        heard.append(message["type"])
        sent.append(message)

    await handler(scope, receive, send)
    return sent


@pytest.fixture
def handler(settings: Any) -> Any:
    settings.ROOT_URLCONF, settings.ALLOWED_HOSTS = __name__, ["localhost"]
    heard.clear()
    note = lambda **_: heard.append("finished")  # noqa: E731
    signals.request_finished.connect(note, sender=Handler)
    yield Handler()
    signals.request_finished.disconnect(note, sender=Handler)


def test_connections_are_back_in_the_pool_before_the_answer_leaves(handler):
    """The next request of the same client must not find the pool empty because of this one."""
    half = {"type": "http.request", "body": b"he", "more_body": True}
    sent = asyncio.run(asked(handler, half, {"type": "http.request", "body": b"llo"}))

    assert (sent[0]["status"], sent[1]["body"]) == (200, b"hello")
    assert heard == ["finished", "http.response.start", "http.response.body"]


def test_what_the_view_makes_of_the_request_id_is_known_outside(handler):
    """ADV-7, OPS-51: the log line after the answer names the body's own id."""

    async def both() -> str:
        await asked(handler, {"type": "http.request", "body": b"x"})
        return context.request_id.get()

    assert asyncio.run(both()) == "from-the-body"


def test_a_client_that_leaves_with_half_a_body_is_not_answered(handler):
    half = {"type": "http.request", "body": b"he", "more_body": True}
    assert asyncio.run(asked(handler, half, {"type": "http.disconnect"})) == []
    assert heard == []


def test_a_static_file_is_served_to_its_end_and_closed(handler):
    """OPS-44: files come from the event loop, in pieces."""
    file = "/static/admin/css/base.css"
    sent = asyncio.run(asked(handler, {"type": "http.request"}, method="GET", path=file))
    body = b"".join(message.get("body", b"") for message in sent)

    assert (sent[0]["status"], len(body)) == (200, int(dict(sent[0]["headers"])[b"Content-Length"]))
    assert heard[-1] == "finished"
