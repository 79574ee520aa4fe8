"""The extractor over TCP, from ingest's side (GES-31): a connection is a capture and proves that it knows the key.

The server's first READY carries a nonce, the OPEN an HMAC-SHA256 of it; the second READY says that a worker is
reserved. Everything after that is what a pipe would carry.
"""

import asyncio
import hashlib
import hmac
from typing import cast

import structlog

from gestures.errors import ExtractorBusy, ExtractorUnavailable
from gestures.extraction import framing
from gestures.extraction.child import Channel, Heard
from gestures.extraction.framing import Kind
from gestures.extraction.pool import READY_WAIT_S

CONNECT_S = 3.0
PROBE_S = 15.0  # how often a web process looks whether its extractor is there, for /readyz (GES-36)
ATTEMPTS = 2  # GES-29: one further worker may be tried while no frame was forwarded

log = structlog.get_logger(__name__)


def proof(key: bytes, nonce: str) -> str:
    """What a client that knows `key` answers to `nonce`."""
    return hmac.new(key, nonce.encode(), hashlib.sha256).hexdigest()


class Remote:
    """Workers behind an address. Each reservation asks anew, so any extractor behind the name may answer."""

    def __init__(self, *, host: str, port: int, key: bytes) -> None:
        self.broken: str | None = None
        self._host, self._port, self._key = host, port, key
        self._probing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Nothing is kept ready on this side; only whether somebody is there is asked now and then."""
        self._probing = asyncio.get_running_loop().create_task(self._probe())

    async def reserve(self, width: int, height: int, heard: Heard) -> Channel:
        """Connect, prove the key, wait for a worker. Raises ExtractorBusy, ExtractorUnavailable."""
        for _ in range(ATTEMPTS):
            try:
                async with asyncio.timeout(CONNECT_S + READY_WAIT_S):
                    return await self._reserve(width, height, heard)
            except (OSError, TimeoutError, framing.Broken) as error:
                self._found(error)
        raise ExtractorUnavailable("The extractor cannot be reached.")

    async def stop(self) -> None:
        """Each connection ends with its capture."""
        if self._probing is not None:
            self._probing.cancel()

    def counts(self) -> dict[str, int]:
        """Not known on this side."""
        return {}

    async def _reserve(self, width: int, height: int, heard: Heard) -> Channel:
        visit, nonce = await self._visit()
        try:
            opening = framing.document(width=width, height=height, proof=proof(self._key, nonce))
            visit.send(framing.pack(Kind.OPEN, opening))
            visit.layout = str((await visit.answer())["layout"])
        except BaseException:
            visit.release()
            raise
        self._found(None)
        visit.hear_with(heard)
        return visit

    async def _visit(self) -> tuple["Visit", str]:
        """A connection whose server has greeted, and its nonce."""
        async with asyncio.timeout(CONNECT_S):
            _, visit = await asyncio.get_running_loop().create_connection(Visit, self._host, self._port)
            try:
                return visit, str((await visit.answer())["nonce"])
            except BaseException:
                visit.release()
                raise

    async def _probe(self) -> None:
        while True:
            try:
                visit, _ = await self._visit()
                visit.release()
                self._found(None)
            except (OSError, TimeoutError, framing.Broken, ExtractorUnavailable) as error:
                self._found(error)
            await asyncio.sleep(PROBE_S)

    def _found(self, error: Exception | None) -> None:
        """Note whether the extractor is there; only a change is worth a line."""
        broken = f"{type(error).__name__}: {error}" if error else None
        if (broken is None) != (self.broken is None):
            log.warning("extractor.unreachable" if broken else "extractor.reached", error=broken)
        self.broken = broken


class Visit(asyncio.Protocol):
    """The client's side of one connection."""

    def __init__(self) -> None:
        self.layout = ""
        self._unpacker = framing.Unpacker()
        self._answers: asyncio.Queue[tuple[Kind, bytes]] = asyncio.Queue()
        self._heard: Heard = lambda kind, payload: self._answers.put_nowait((kind, payload))
        self._transport: asyncio.Transport | None = None
        self._released = False

    async def answer(self) -> dict[str, object]:
        """The members of the next READY. Raises ExtractorBusy, ExtractorUnavailable, Broken."""
        kind, payload = await self._answers.get()
        members = framing.members(payload)
        if kind is Kind.READY:
            return members
        if members.get("error_code") == "extractor_busy":
            raise ExtractorBusy
        if members.get("error_code") == "extractor_failed":
            raise framing.Broken("the extractor hung up: is EXTRACTOR_KEY the same on both sides?")
        raise ExtractorUnavailable(str(members.get("detail", "")))

    def hear_with(self, heard: Heard) -> None:
        """From now on `heard` gets what the worker says."""
        self._heard = heard

    def send(self, message: bytes) -> None:
        """Hand over one message; the forward queue bounds what the socket has to buffer (GES-33)."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(message)

    def release(self) -> None:
        """The connection ends once everything is written."""
        self._released = True
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's hook."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """asyncio's hook."""
        try:
            for kind, payload in self._unpacker.feed(data):
                self._heard(kind, payload)
        except framing.Broken as error:
            log.error("extractor.connection_broken", error=str(error))
            assert self._transport is not None
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's hook: without us having let go, the extractor has failed its capture."""
        if not self._released:
            why = framing.document(error_code="extractor_failed", detail="the connection to the extractor broke")
            self._heard(Kind.ERROR, why)
