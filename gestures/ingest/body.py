"""The body of an upload, read as it comes: its meta first, then frame after frame as moves of the capture (GES-21)."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from gestures import errors, limits, protocol
from gestures.ingest.multipart import Begin, Cutter, Data, Malformed, Piece, boundary_of
from gestures.machine import moves
from gestures.protocol import Upload
from sessions_app.errors import BodyTooLarge
from sessions_app.kinds import DomainError, UnsupportedMedia

# A refused client that goes on sending would not see the answer, so it may: for so long in all, or until it pauses.
SWALLOW_S = 5.0
PAUSE_S = 0.3
CHUNKS_AHEAD = 16  # read before they are wanted: what a client sent before it left must not be lost with it (GES-25)

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class ClientLeft(Exception):
    """The connection ended within the body."""


class Body:
    """One request's body, read a little ahead. `is_whole` once its last byte has been taken."""

    def __init__(self, receive: Receive, headers: Mapping[str, str]) -> None:
        self.is_whole = False
        self.size_bytes = 0
        self._receive, self._headers = receive, headers
        self._pieces: deque[Piece] = deque()
        self._messages: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(CHUNKS_AHEAD)
        self._reading: asyncio.Task[None] | None = None
        if headers.get("expect", "").lower() != "100-continue":  # then the first read would invite the body
            self._read_ahead()

    def close(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()

    async def meta(self) -> Upload:
        """What the upload declares.

        Raises LimitTotalBytesExceeded, UnsupportedMedia, ProtocolViolation, BodyTooLarge, FieldErrors, ClientLeft.
        """
        self._cutter = self._open()
        try:
            data = await self._meta_bytes()
        except Malformed as error:
            raise errors.ProtocolViolation(f"the body: {error}") from error
        return await asyncio.to_thread(protocol.parse_upload, data)

    async def events(self, declared: Upload) -> AsyncIterator[moves.Event]:
        """What the rest of the body says: each frame's meta and bytes, the close, and that the client has left."""
        try:
            async for event in self._told(declared):
                yield event
        except ClientLeft:
            yield moves.Disconnected()
        except Malformed as error:
            yield moves.Garbled(f"the body: {error}")
        except DomainError as refusal:
            yield moves.Failed(refusal)

    async def swallow(self) -> None:
        """Read on without looking, for a little while."""
        if self._reading is None:
            return  # the client waits to be told that it may send, and is told instead that it need not
        with suppress(TimeoutError, ClientLeft, DomainError):
            async with asyncio.timeout(SWALLOW_S):
                while not self.is_whole:
                    await asyncio.wait_for(self._chunk(), PAUSE_S)

    async def _told(self, declared: Upload) -> AsyncIterator[moves.Event]:
        for meta in declared.metas:
            if not _is_part(await self._piece(), "frame", "image/jpeg"):
                raise Malformed(f"part {meta.seq} must be `frame`, image/jpeg")
            yield meta
            data = bytearray()
            while isinstance(piece := await self._piece(), Data) and len(data) <= limits.MAX_FRAME_BYTES:
                data += piece.data
                if not self._pieces:  # once for all that came together
                    yield moves.Heard()
            yield moves.Frame(bytes(data))
        if await self._piece() is not None:
            raise Malformed(f"more parts than the {len(declared.metas)} frames of the meta")
        yield declared.close
        while True:
            await self._chunk()

    def _open(self) -> Cutter:
        length = self._headers.get("content-length", "")
        if length.isdigit() and int(length) > limits.MAX_UPLOAD_BYTES:
            raise errors.LimitTotalBytesExceeded(f"a request of {length} bytes, allowed are {limits.MAX_UPLOAD_BYTES}")
        try:
            boundary = boundary_of(self._headers.get("content-type", ""))
            if boundary is None or self._headers.get("content-encoding", "identity") != "identity":
                raise UnsupportedMedia("The body must be multipart/form-data.")
            return Cutter(boundary)
        except Malformed as error:
            raise errors.ProtocolViolation(f"the body: {error}") from error

    async def _meta_bytes(self) -> bytes:
        data = bytearray()
        if not _is_part(await self._piece_soon(), "meta", "application/json"):
            raise Malformed("the first part must be `meta`, application/json")
        while isinstance(piece := await self._piece_soon(), Data):
            data += piece.data
            if len(data) > limits.MAX_META_BYTES:
                raise BodyTooLarge(f"meta has more than {limits.MAX_META_BYTES} bytes")
        return bytes(data)

    async def _piece_soon(self) -> Piece | None:
        """The next piece, while no capture's timers run yet."""
        try:
            async with asyncio.timeout(limits.UPLOAD_SILENCE_S):
                return await self._piece()
        except TimeoutError as error:
            raise errors.ProtocolViolation("no byte for 10 s") from error

    async def _piece(self) -> Piece | None:
        """The next piece; None after the closing boundary. Raises Malformed, ClientLeft, LimitTotalBytesExceeded."""
        while not self._pieces:
            if self._cutter.is_done:
                return None
            if self.is_whole:
                raise Malformed("it ends without its closing boundary")
            self._pieces = self._cutter.feed(await self._chunk())
        return self._pieces.popleft()

    async def _chunk(self) -> bytes:
        if self._reading is None:
            self._read_ahead()
        message = await self._messages.get()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        data: bytes = message.get("body", b"")
        self.size_bytes += len(data)
        self.is_whole = not message.get("more_body", False)
        if self.size_bytes > limits.MAX_UPLOAD_BYTES:
            raise errors.LimitTotalBytesExceeded(f"a request of more than {limits.MAX_UPLOAD_BYTES} bytes")
        return data

    def _read_ahead(self) -> None:
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            await self._messages.put(message)
            if message["type"] == "http.disconnect":
                return


def _is_part(piece: Piece | None, name: str, content_type: str) -> bool:
    """Whether a part of this name begins; a part may leave its type out, but not have another."""
    return isinstance(piece, Begin) and piece.name == name and piece.content_type in (None, content_type)
