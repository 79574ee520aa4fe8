"""Uploads as a client makes them: whole, or begun and left."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx

from tests.captures import BOUNDARY, multipart

PATH = "/camera_feed_worker/captures"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def upload(live: Any, meta: dict[str, Any], jpegs: Iterable[bytes], **headers: str) -> httpx.Response:
    """POST a whole upload."""
    return post(live, b"".join(multipart(meta, jpegs)), **headers)


def post(live: Any, content: bytes | Iterable[bytes], **headers: str) -> httpx.Response:
    """POST these bytes as the bearer of the server's token."""
    bearer = {"Authorization": f"Bearer {live.token}", "Content-Type": TYPE, **headers}
    return httpx.post(live.url + PATH, content=content, headers=bearer, timeout=60)


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an answer that must be a problem document."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    members = answer.json()
    assert members["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, members["code"]


@contextmanager
def begun(live: Any, head: bytes, *, length: int) -> Iterator[socket.socket]:
    """A connection over which an upload of `length` bytes has begun, but not ended."""
    lines = [f"POST {PATH} HTTP/1.1", f"Host: 127.0.0.1:{live.port}", f"Authorization: Bearer {live.token}",
             f"Content-Type: {TYPE}", f"Content-Length: {length}", "", ""]  # fmt: skip
    with closing(socket.create_connection(("127.0.0.1", live.port), timeout=30)) as connection:
        connection.sendall("\r\n".join(lines).encode() + head)
        yield connection


def received(connection: socket.socket) -> bytes:
    """All the server says until it closes."""
    answer = b""
    while data := connection.recv(65536):
        answer += data
    return answer
