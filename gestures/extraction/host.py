"""The extractor over TCP, its own side (GES-31): who proves the key gets a worker, and what a pipe would carry."""

import asyncio
import hmac
import secrets
from typing import cast

import structlog

from gestures import limits
from gestures.errors import ExtractorBusy, ExtractorUnavailable
from gestures.extraction import framing
from gestures.extraction.child import Channel
from gestures.extraction.framing import Kind
from gestures.extraction.pool import Pool
from gestures.extraction.remote import proof

OPEN_S = 5.0  # how long a visitor may take to prove the key
IDLE_S = 60.0  # then until its next message; a live capture is never silent that long (GES-4), a dead host is for ever

log = structlog.get_logger(__name__)


class Host(asyncio.Protocol):
    """One connection: checks the proof, reserves a worker, relays."""

    def __init__(self, pool: Pool, key: bytes) -> None:
        self._pool, self._key = pool, key
        self._nonce = secrets.token_hex(32)
        self._unpacker = framing.Unpacker()
        self._channel: Channel | None = None
        self._reserving: asyncio.Task[None] | None = None
        self._outstanding = 0
        self._ended = False
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's hook: greet, and wait a little for the proof."""
        self._transport = cast(asyncio.Transport, transport)
        self._say(Kind.READY, framing.document(nonce=self._nonce))
        self._expect_within(OPEN_S)

    def data_received(self, data: bytes) -> None:
        """asyncio's hook: relay; whoever breaks the protocol is cut off."""
        if self._reserving is not None:
            self._expect_within(IDLE_S)
        try:
            for kind, payload in self._unpacker.feed(data):
                self._receive(kind, payload)
        except framing.Broken as error:
            log.warning("extractor.visitor_broken", error=str(error))
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's hook: frames and rows of a peer that is gone are dropped (GES-34)."""
        if self._late is not None:
            self._late.cancel()
        if self._reserving is not None:
            self._reserving.cancel()
        if self._channel is not None:
            if not self._ended:
                self._channel.send(framing.pack(Kind.ABORT))
            self._channel.release()
            self._channel = None

    def _receive(self, kind: Kind, payload: bytes) -> None:
        if self._reserving is None:
            self._begin(kind, payload)
            return
        self._outstanding += kind is Kind.FRAME
        if self._channel is None or kind not in (Kind.FRAME, Kind.CLOSE, Kind.ABORT) or self._ended:
            raise framing.Broken(f"{kind.name} out of turn")
        if self._outstanding > limits.MAX_FORWARDED_FRAMES:
            raise framing.Broken("more frames than the forward queue holds")
        self._ended = kind is not Kind.FRAME
        self._channel.send(framing.pack(kind, payload))

    def _begin(self, kind: Kind, payload: bytes) -> None:
        opened = framing.members(payload) if kind is Kind.OPEN else {}
        claimed, width, height = (opened.get(name) for name in ("proof", "width", "height"))
        if not hmac.compare_digest(str(claimed).encode(), proof(self._key, self._nonce).encode()):
            raise framing.Broken("no proof of the key")
        if not isinstance(width, int) or not isinstance(height, int):
            raise framing.Broken("no size")
        self._expect_within(IDLE_S)
        reserving = self._reserve(width, height)
        self._reserving = asyncio.get_running_loop().create_task(reserving)

    async def _reserve(self, width: int, height: int) -> None:
        try:
            self._channel = await self._pool.reserve(width, height, self._relay)
        except (ExtractorBusy, ExtractorUnavailable) as error:
            self._say(Kind.ERROR, framing.document(error_code=error.code.lower(), detail=error.detail))
            self._transport.close()
            return
        self._say(Kind.READY, framing.document(layout=self._channel.layout))

    def _relay(self, kind: Kind, payload: bytes) -> None:
        self._outstanding -= kind is Kind.ROW
        self._say(kind, payload)

    def _expect_within(self, seconds: float) -> None:
        if self._late is not None:
            self._late.cancel()
        self._late = asyncio.get_running_loop().call_later(seconds, self._transport.abort)

    def _say(self, kind: Kind, payload: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(framing.pack(kind, payload))
