"""A closed loop of HTTP requests over kept connections: each sends its next request when it has its answer.

Little more than a socket and a clock, so that the server is what is measured.
"""

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import uvloop

Make = Callable[[int, int], bytes]  # (connection, number of the request) -> the request


@dataclass
class Load:
    """What came of it."""

    seconds: float
    latencies_s: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies_s) / self.seconds

    def quantile_ms(self, share: float) -> float:
        """The latency that `share` of the answers kept to."""
        return statistics.quantiles(self.latencies_s, n=1000)[round(share * 1000) - 1] * 1000


def run(port: int, make: Make, *, connections: int, seconds: float) -> Load:
    """Load 127.0.0.1:`port` for `seconds`."""
    load = Load(seconds)
    uvloop.run(_all(port, make, connections, load))
    return load


def request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    """An HTTP/1.1 request with a bearer."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


async def _all(port: int, make: Make, connections: int, load: Load) -> None:
    loop, end = asyncio.get_running_loop(), time.perf_counter() + load.seconds
    ended = [loop.create_future() for _ in range(connections)]
    for number, future in enumerate(ended):
        await loop.create_connection(partial(_Client, number, make, load, end, future), "127.0.0.1", port)
    await asyncio.gather(*ended)


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, number: int, make: Make, load: Load, end: float, ended: "asyncio.Future[None]") -> None:
        self._number, self._make, self._load, self._end, self._ended = number, make, load, end, ended
        self._sent = 0
        self._answer, self._length = b"", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """Collect the answer; when it is whole, send the next request."""
        self._answer += data
        if not self._length:
            self._length = _length(self._answer)
        if self._length and len(self._answer) >= self._length:
            self._load.latencies_s.append(time.perf_counter() - self._began)
            self._load.refused += not self._answer.startswith(b"HTTP/1.1 20")
            self._answer, self._length = b"", 0
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        """The server has left."""
        if not self._ended.done():
            self._ended.set_result(None)

    def _next(self) -> None:
        if time.perf_counter() >= self._end:
            self._transport.close()
            return
        request = self._make(self._number, self._sent)
        self._sent += 1
        self._began = time.perf_counter()
        self._transport.write(request)  # type: ignore[attr-defined]


def _length(answer: bytes) -> int:
    """Head and body together, once the head is whole; else 0."""
    head, found, _ = answer.partition(b"\r\n\r\n")
    if not found:
        return 0
    name = head.lower().find(b"content-length:")
    size = int(head[name + 15 :].split(b"\r\n", 1)[0]) if name >= 0 else 0
    return len(head) + 4 + size
