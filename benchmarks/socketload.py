"""Many WebSocket clients in one process, of Baton or of Socket.IO: joins, heartbeats, an open loop of updates.

Little more than a socket and a clock, so that the server is what is measured. Latency counts from the moment an update
was due, not from when it was sent, so a server that stalls is not spared the queue it causes.

    python -m benchmarks.socketload PLAN    reads a JSON plan from the file, prints a JSON report for each line on stdin
"""

import asyncio
import base64
import gc
import json
import os
import re
import statistics
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import uvloop

from benchmarks.dialects import Baton, SocketIo

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
PER_SESSION = 3
JOINING = 40  # sessions at once; the server bounds the unauthenticated sockets of one address
BEAT_S = 30.0
TICK_S = 0.05
_DUE = re.compile(r'"t":([0-9.]+)')


@dataclass
class Tally:
    """What has arrived."""

    latencies_s: list[float] = field(default_factory=list)
    lost: int = 0  # connections


class Client(asyncio.Protocol):
    """One connection."""

    __slots__ = ("_data", "_dialect", "_joined", "_open", "_session", "_tally", "_token", "device", "transport")

    def __init__(self, dialect: Any, session: int, device: int, token: str, tally: Tally) -> None:
        self._dialect, self._session, self.device, self._token, self._tally = dialect, session, device, token, tally
        self._data, self._open = b"", False
        self._joined: asyncio.Future[None] | None = None
        self.transport: Any = None

    async def join(self, port: int) -> None:
        """Connect, and wait until updates would arrive."""
        loop = asyncio.get_running_loop()
        self._joined = loop.create_future()
        # Several source addresses, because one has too few ports for ten thousand sockets in quick succession.
        source = (f"127.0.0.{2 + self._session % 4}", 0)
        await loop.create_connection(lambda: self, "127.0.0.1", port, local_addr=source)
        await asyncio.wait_for(self._joined, 60)
        self._joined, self._token = None, ""

    def connection_made(self, transport: Any) -> None:
        """The handshake."""
        self.transport = transport
        offer = f"Sec-WebSocket-Protocol: {self._dialect.subprotocol}\r\n" if self._dialect.subprotocol else ""
        transport.write(
            f"GET {self._dialect.path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"{offer}\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody was meant to go."""
        self._tally.lost += 1
        if self._joined is not None and not self._joined.done():
            self._joined.set_exception(exc or ConnectionError("lost before it had joined"))

    def data_received(self, data: bytes) -> None:
        """Frames, and before them the answer to the handshake."""
        data = self._data + data
        if not self._open:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._data = head
                return
            if b" 101 " not in head:
                raise RuntimeError(head.decode())
            self._open = True
            for text in self._dialect.hello(self._session, self.device, self._token):
                self.send(text)
        while (found := _frame(data)) is not None:
            opcode, payload, data = found
            self._take(opcode, payload)
        self._data = data

    def send(self, text: str) -> None:
        """A text frame; its mask is zero, which leaves the bytes as they are."""
        self._write(TEXT, text.encode())

    def _write(self, opcode: int, data: bytes) -> None:
        if self.transport.is_closing():
            return  # counted as lost
        size = len(data)
        head = bytes([0x80 | opcode, 0x80 | size]) if size < 126 else struct.pack("!BBH", 0x80 | opcode, 0xFE, size)
        self.transport.write(head + b"\0\0\0\0" + data)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self._write(PONG, payload)
        elif opcode == TEXT:
            self._read(payload.decode())

    def _read(self, text: str) -> None:
        if self._dialect.is_told(text):
            found = _DUE.search(text)
            assert found is not None
            self._tally.latencies_s.append(time.monotonic() - float(found[1]))
        elif (pong := self._dialect.pong(text)) is not None:
            self.send(pong)
        elif self._joined is not None:
            more = self._dialect.answer(self._session, text)
            for line in more or ():
                self.send(line)
            if more is None and not self._joined.done():
                self._joined.set_result(None)


def _frame(data: bytes) -> tuple[int, bytes, bytes] | None:
    """Opcode, payload and rest of the first whole frame."""
    if len(data) < 2:
        return None
    size, start = data[1] & 127, 2
    if size >= 126:
        width = 2 if size == 126 else 8
        start += width
        if len(data) < start:
            return None
        size = int.from_bytes(data[2:start], "big")
    if len(data) < start + size:
        return None
    return data[0] & 15, data[start : start + size], data[start + size :]


class Crowd:
    """All clients of a run."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.port, self.tally = plan["port"], Tally()
        dialect = SocketIo() if plan["peer"] else Baton(plan["kind"])
        self.dialect = dialect
        self.clients = [
            Client(dialect, session, device, token, self.tally)
            for session, token in enumerate(plan["tokens"])
            for device in range(PER_SESSION)
        ][: plan["connections"]]
        self.joined: list[Client] = []

    async def join(self) -> float:
        """Everybody connects, one device of a session after the other; seconds it took."""
        started = time.monotonic()
        turns = self._sessions()
        await asyncio.gather(*(self._join_in_turn(turns) for _ in range(JOINING)))
        return time.monotonic() - started

    async def hold(self, seconds: float) -> None:
        """Nothing but heartbeats."""
        await asyncio.sleep(seconds)

    async def beat(self) -> None:
        """A heartbeat of each client in thirty seconds, from its joining on."""
        beaten = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            due = beaten + len(self.joined) * TICK_S / BEAT_S
            for number in range(int(beaten), int(due)):
                self.joined[number % len(self.joined)].send(self.dialect.heartbeat)
            beaten = due

    async def update(self, rate: float, seconds: float) -> dict[str, Any]:
        """An open loop of updates; each is told to all devices of its session."""
        self.tally.latencies_s.clear()
        gc.collect()
        gc.freeze()
        started = time.monotonic() + 0.1
        whole = len(self.clients) // PER_SESSION * PER_SESSION
        busy = time.process_time()
        for number in range(round(rate * seconds)):
            due = started + number / rate
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            client = self.clients[(number * 7) % whole]
            client.send(self.dialect.update(number, due))
        busy = time.process_time() - busy
        await asyncio.sleep(1.5)
        return self._report(round(rate * seconds) * PER_SESSION, busy / seconds)

    def _report(self, expected: int, busy: float) -> dict[str, Any]:
        found = sorted(self.tally.latencies_s)
        cuts = statistics.quantiles(found, n=1000) if len(found) > 1 else [0.0] * 999
        return {
            "p50_ms": cuts[499] * 1000, "p99_ms": cuts[989] * 1000, "p999_ms": cuts[998] * 1000,
            "delivered": len(found), "expected": expected, "generator_busy": busy, "lost": self.tally.lost,
        }  # fmt: skip

    def _sessions(self) -> Iterator[list[Client]]:
        for start in range(0, len(self.clients), PER_SESSION):
            yield self.clients[start : start + PER_SESSION]

    async def _join_in_turn(self, turns: Iterator[list[Client]]) -> None:
        for devices in turns:
            for client in devices:
                await client.join(self.port)
                self.joined.append(client)


async def _main(plan: dict[str, Any]) -> None:
    crowd = Crowd(plan)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    beating = asyncio.create_task(crowd.beat())
    while line := await reader.readline():
        word, *numbers = line.decode().split()
        figures = [float(number) for number in numbers]
        report = await getattr(crowd, word)(*figures)
        print(json.dumps({"lost": crowd.tally.lost, "report": report}), flush=True)
    beating.cancel()


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        uvloop.run(_main(json.load(file)))
