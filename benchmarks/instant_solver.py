"""A putt solver that takes no time, and the time it does take: what the server adds is then known for each call."""

import json
import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Solver:
    """Each connection in a thread, each request the same line."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._spent_ms: queue.SimpleQueue[float] = queue.SimpleQueue()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def spent_ms(self) -> float:
        """How long it took over what it was asked since the last time: from the request's last byte to the answer's."""
        total = 0.0
        while not self._spent_ms.empty():
            total += self._spent_ms.get()
        return total

    def run(self) -> None:
        """Accept until the listener is closed."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            data = b""
            while chunk := connection.recv(65_536):
                began = time.perf_counter()
                data += chunk
                head, found, body = data.partition(b"\r\n\r\n")
                if not found or len(body) < content_length(head):
                    continue
                data = b""
                connection.sendall(_answer_to(json.loads(body)))
                self._spent_ms.put((time.perf_counter() - began) * 1000)


@contextmanager
def running() -> Iterator[Solver]:
    """A solver on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        solver = Solver(listener)
        threading.Thread(target=solver.run, daemon=True).start()
        yield solver


def content_length(head: bytes) -> int:
    """What the head of a message says of its body."""
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return next(int(value) for name, _, value in lines if name == b"content-length")


def _answer_to(asked: dict[str, object]) -> bytes:
    members = {
        "contract_version": "0.5.0",
        "request_id": asked["request_id"],
        "dtm_id": asked["dtm_id"],
        "instruction_text": "3.0 m, plays 3.8 m, uphill 2 %. Aim at the cup centre.",
        "warnings": [],
        "raw": {"dll_return_code": 0, "dll_error_text": "", "solution": {"aim_deg": 0.0, "speed_mps": 2.113}},
        "plot": {"frame": "green_local_m", "points": [asked["ball"], asked["cup"]] * 8},
    }
    body = json.dumps(members).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
