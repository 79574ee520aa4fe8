"""Clients for the HTTP side: JSON in, JSON out, with or without a credential."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.test import Client

from config.asgi import application
from sessions_app.state import committer, reader


class Api:
    """Calls with one credential; `.post(path, body)` sends JSON, `.raw(...)` anything."""

    def __init__(self, token: str | None = None, *, api_key: str | None = None) -> None:
        self.headers: dict[str, str] = {}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"
        if api_key:
            self.headers["X-API-Key"] = api_key
        self._client = Client(raise_request_exception=False)

    def get(self, path: str, **headers: str) -> Any:
        """GET."""
        return self._client.get(path, headers={**self.headers, **headers})

    def post(self, path: str, body: Any, **headers: str) -> Any:
        """POST of `body` as JSON."""
        return self.raw("POST", path, json.dumps(body).encode(), **headers)

    def delete(self, path: str, **headers: str) -> Any:
        """DELETE."""
        return self._client.delete(path, headers={**self.headers, **headers})

    def raw(self, method: str, path: str, data: bytes, content_type: str = "application/json", **headers: str) -> Any:
        """Any method with any bytes."""
        return self._client.generic(
            method, path, data=data, content_type=content_type, headers={**self.headers, **headers}
        )


@dataclass(frozen=True)
class Answer:
    """What came back, in the words of Django's test client."""

    status_code: int
    headers: dict[str, str]  # names in lower case
    content: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.content)

    def __getitem__(self, name: str) -> str:
        return self.headers[name.lower()]


class RawApi(Api):
    """The same calls through the whole ASGI application, raw routes first; needs a transactional database."""

    def get(self, path: str, **headers: str) -> Any:
        """GET."""
        return self.raw("GET", path, b"", **headers)

    def raw(self, method: str, path: str, data: bytes, content_type: str = "application/json", **headers: str) -> Any:
        """Any method with any bytes."""
        return self.at_once([(method, path, data, {"Content-Type": content_type, **headers})])[0]

    def at_once(self, requests: Iterable[tuple[str, str, bytes, dict[str, str]]]) -> list[Answer]:
        """Many requests in flight together on one event loop."""

        async def all_of_them() -> list[Answer]:
            calls = [_asgi(method, path, data, {**self.headers, **headers}) for method, path, data, headers in requests]
            try:
                return await asyncio.gather(*calls)
            finally:
                await committer.stop()
                await reader.stop()

        return asyncio.run(all_of_them())


async def _asgi(method: str, path: str, data: bytes, headers: dict[str, str]) -> Answer:
    path, _, query = path.partition("?")
    given = {**headers, "Content-Length": str(len(data))} if data else headers
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("testserver", 80),
        "scheme": "http",
    }
    body = [{"type": "http.request", "body": data, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        return body.pop() if body else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await application(scope, receive, send)
    start, *parts = sent
    found = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], found, b"".join(part.get("body", b"") for part in parts))
