"""A client for the HTTP side: JSON in, JSON out, with or without a credential."""

import json
from typing import Any

from django.test import Client


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
