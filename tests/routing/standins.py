"""Services that answer as a test tells them to: a function from the request to the bytes on the wire."""

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

Answer = Callable[["Asked"], bytes]


@dataclass
class Asked:
    """One request as it came, and the connection it came on."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    connection: socket.socket = field(repr=False)


class StandIn:
    """A real socket on a free port; use it as a context manager. `asked` are the requests so far."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[Asked] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "StandIn":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError):
            asked = _read(connection)
            self.asked.append(asked)
            answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
            connection.sendall(answer(asked))
            connection.shutdown(socket.SHUT_RDWR)


def http(status: int, body: Any, **headers: str) -> bytes:
    """A whole response; `body` as it is if it is bytes, else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Content-Type": "application/json", "Content-Length": str(len(data)), "Connection": "close", **headers}
    head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode() + b"\r\n" + data


def answering(status: int, body: Any, **headers: str) -> Answer:
    """Always the same."""
    return lambda asked: http(status, body, **headers)


def solved(**over: Any) -> Answer:
    """A putt solver that found a line; a member set to `...` is left out."""

    def answer(asked: Asked) -> bytes:
        raw = {"dll_return_code": 0, "dll_error_text": "", "solution": {"aim_deg": 0.0, "speed_mps": 2.113}}
        members = {
            "contract_version": "0.5.0",
            "request_id": asked.body["request_id"],
            "dtm_id": asked.body["dtm_id"],
            "instruction_text": "3.0 m, plays 3.8 m, uphill 2 %. Aim at the cup centre.",
            "warnings": [],
            "raw": raw,
            "plot": {"frame": "green_local_m", "points": [asked.body["ball"], asked.body["cup"]]},
            **over,
        }
        return http(200, {name: value for name, value in members.items() if value is not ...})

    return answer


def planned(**over: Any) -> Answer:
    """A shot planner with a plan; a member set to `...` is left out."""

    def answer(asked: Asked) -> bytes:
        members = {
            "contract_version": "0.5.0",
            "request_id": asked.body["request_id"],
            "summary": "7-iron, 140 m",
            "recommended_club": "7-iron",
            "carry_m": 133.0,
            "total_m": 140.0,
            "bearing_deg": 90.0,
            "confidence": 0.8,
            **over,
        }
        return http(200, {name: value for name, value in members.items() if value is not ...})

    return answer


def problem(status: int, code: str) -> Answer:
    """A problem document."""
    return answering(status, {"status": status, "code": code, "detail": "secret-detail"})


def hangs(asked: Asked) -> bytes:
    """Says nothing until the other side has had enough."""
    asked.connection.settimeout(20)
    asked.connection.recv(1)
    return b""


def drips(asked: Asked) -> bytes:
    """Sends a byte now and then, for ever: no single read takes long."""
    asked.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        asked.connection.sendall(b" ")
        time.sleep(0.05)


def resets(asked: Asked) -> bytes:
    """Hangs up without a word."""
    asked.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    asked.connection.close()
    return b""


def _read(connection: socket.socket) -> Asked:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += _more(connection)
    return Asked(first.split()[1], headers, json.loads(body), connection)


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65_536)
    if not data:
        raise ValueError("closed")
    return data
