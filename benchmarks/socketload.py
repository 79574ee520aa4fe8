"""Many WebSocket clients in one process, of Baton or of Socket.IO: joins, an open loop of updates, idle heartbeats.

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

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
PER_SESSION = 3
JOINING = 40  # sessions at once; the server bounds the unauthenticated sockets of one address
_DUE = re.compile(r'"t":([0-9.]+)')


class Baton:
    """`/ws` in JSON."""

    path, subprotocol = "/ws", "baton.v1.json"
    heartbeat = '{"type":1,"payload":{}}'

    def __init__(self, kind: str) -> None:
        self._update = '{"type":5,"payload":{"key":"k%d","value":{"t":%.6f,"note":"a short note of forty characters"}}}'
        if kind == "broadcast":
            self._update = '{"type":13,"payload":{"message":"k%d","data":{"t":%.6f,"note":"a note of forty"}}}'
        self._told = '"type":5,' if kind == "update" else '"type":13,'

    def hello(self, session: int, device: int, token: str) -> list[str]:
        """What a client says first."""
        return [json.dumps({"type": 7, "payload": {"token": token, "device_id": f"d{device}"}})]

    def answer(self, text: str) -> list[str] | None:
        """None when the client has joined."""
        if '"type":9,' in text[:12]:
            raise RuntimeError(text)
        return None if '"type":8,' in text[:12] else []

    def update(self, session: int, number: int, due: float) -> str:
        """One update."""
        return self._update % (number % 8, due)

    def is_told(self, text: str) -> bool:
        """Whether this is an update that arrives."""
        return text.startswith(self._told, 1)


class SocketIo:
    """Socket.IO 4 over a WebSocket."""

    path, subprotocol = "/socket.io/?EIO=4&transport=websocket", None
    heartbeat = '42["beat"]'

    def hello(self, session: int, device: int, token: str) -> list[str]:
        """It waits for the server."""
        return []

    def answer(self, text: str) -> list[str] | None:
        """Engine open, namespace, room."""
        if text.startswith("0"):
            return ["40"]
        if text.startswith("40"):
            return ["join"]
        return None if text.startswith('42["joined"') else []

    def update(self, session: int, number: int, due: float) -> str:
        """One update."""
        return f'42["update",{{"key":"k{number % 8}","t":{due:.6f},"note":"a short note of forty characters"}}]'

    def is_told(self, text: str) -> bool:
        """Whether this is an update that arrives."""
        return text.startswith('42["update"')


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
            self._joined.set_exception(ConnectionError("lost before it had joined"))

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
        elif text == "2":
            self.send("3")  # engine.io's own ping
        elif self._joined is not None:
            more = self._dialect.answer(text)
            for line in more or ():
                self.send(f'42["join","s{self._session}"]' if line == "join" else line)
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

    async def join(self) -> float:
        """Everybody connects, one device of a session after the other; seconds it took."""
        started = time.monotonic()
        turns = self._sessions()
        await asyncio.gather(*(self._join_in_turn(turns) for _ in range(JOINING)))
        return time.monotonic() - started

    async def hold(self, seconds: float) -> None:
        """Idle, but for a heartbeat of each client in thirty seconds."""
        until, index = time.monotonic() + seconds, 0
        pause = 30.0 / len(self.clients)
        due = time.monotonic()
        while (now := time.monotonic()) < until:
            while due <= now:
                self.clients[index % len(self.clients)].send(self.dialect.heartbeat)
                index, due = index + 1, due + pause
            await asyncio.sleep(0.005)

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
            client.send(self.dialect.update(0, number, due))
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


async def _main(plan: dict[str, Any]) -> None:
    crowd = Crowd(plan)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        word, *numbers = line.decode().split()
        figures = [float(number) for number in numbers]
        report = await getattr(crowd, word)(*figures)
        print(json.dumps({"lost": crowd.tally.lost, "report": report}), flush=True)


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        uvloop.run(_main(json.load(file)))
