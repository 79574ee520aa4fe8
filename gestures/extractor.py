"""Door to the extractor, wherever it runs (GES-31): a capture leases one worker, forwards frames, collects rows.

`local:` is a pool of child processes of this one, `tcp://host:port` a `manage.py run_extractor` elsewhere.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from django.conf import settings

from gestures import errors, layout
from gestures.extraction import framing
from gestures.extraction.child import Channel, Heard
from gestures.extraction.framing import Kind
from gestures.extraction.pool import Pool
from gestures.extraction.remote import Remote
from gestures.machine import moves
from sessions_app.kinds import DomainError

Listener = Callable[[moves.Event], None]

_ROW_BYTES = 4 * layout.DIMS
_ERRORS: dict[str, type[DomainError]] = {
    errors.error_code(leaf()): leaf
    for leaf in (
        errors.FrameDecodeFailed,
        errors.FrameSizeMismatch,
        errors.ExtractorBusy,
        errors.ExtractorUnavailable,
        errors.ExtractorFailed,
    )
}


class Source(Protocol):
    """Where workers come from."""

    broken: str | None

    def start(self) -> None:
        """Prepare, so that the first capture need not wait."""

    async def reserve(self, width: int, height: int, heard: Heard) -> Channel:
        """A worker for one capture. Raises ExtractorBusy, ExtractorUnavailable."""

    async def stop(self) -> None:
        """Give everything back."""

    def counts(self) -> dict[str, int]:
        """Workers by state, as far as they are known here."""


class Lease:
    """One worker, reserved for one capture. It reports to `listener`, never after `discard`."""

    def __init__(self, listener: Listener) -> None:
        self.rows = bytearray()  # T * DIMS little-endian float32 values, in frame order
        self._listener: Listener | None = listener
        self._channel: Channel | None = None
        self._told_the_end = False

    async def begin(self, source: Source, width: int, height: int) -> None:
        """Reserve the worker. Raises ExtractorBusy, ExtractorUnavailable."""
        self._channel = await source.reserve(width, height, self._hear)

    @property
    def layout(self) -> str:
        """The layout of the rows, by name."""
        return self._channel.layout if self._channel else ""

    def forward(self, jpeg: bytes) -> None:
        """Send one frame."""
        self._send(framing.pack(Kind.FRAME, jpeg))

    def finish(self) -> None:
        """Tell the worker that no frame follows."""
        self._send(framing.pack(Kind.CLOSE))
        self._told_the_end = True

    def discard(self) -> None:
        """Let the worker go; it has been told the end of the capture exactly once (GES-34)."""
        self._listener = None
        if self._channel is None:
            return
        if not self._told_the_end:
            self._send(framing.pack(Kind.ABORT))
        self._channel.release()
        self._channel = None

    def _send(self, message: bytes) -> None:
        if self._channel is not None and not self._told_the_end:
            self._channel.send(message)

    def _hear(self, kind: Kind, payload: bytes) -> None:
        if self._listener is None:
            return
        if kind is Kind.ROW and len(payload) == _ROW_BYTES:
            self.rows += payload
            self._listener(moves.RowArrived())
        elif kind is Kind.DONE:
            self._listener(moves.RowsDone())
        else:
            self._listener(moves.Failed(_error(kind, payload)))


_sources: dict[asyncio.AbstractEventLoop, Source] = {}  # one in a process that serves, several only in tests


def source() -> Source:
    """The workers of the running event loop, started when first asked for."""
    loop = asyncio.get_running_loop()
    if loop not in _sources:
        _sources[loop] = _new_source()
        _sources[loop].start()
    return _sources[loop]


async def stop() -> None:
    """End the running event loop's workers."""
    if found := _sources.pop(asyncio.get_running_loop(), None):
        await found.stop()


def local_pool() -> Pool:
    """A pool of the size and backend the settings name."""
    return Pool(size=settings.EXTRACTOR_WORKERS, backend=settings.EXTRACTOR_BACKEND)


def health() -> str:
    """`ok`, or `unavailable` when captures could not be served now (GES-36). Callable from any thread."""
    return "unavailable" if any(found.broken for found in list(_sources.values())) else "ok"


def warnings() -> list[str]:
    """What `/health` says while captures could not be served, beginning with its symbol (OPS-29)."""
    if health() == "ok":
        return []
    return ["EXTRACTOR_UNAVAILABLE: captures are refused until the landmark extractor can be started or reached."]


def counts() -> dict[str, int]:
    """Workers of this process by state, for the metrics."""
    found = list(_sources.values())
    return found[0].counts() if found else {}


def _new_source() -> Source:
    url = settings.EXTRACTOR_URL
    if url == "local:":
        return local_pool()
    host, _, port = url.removeprefix("tcp://").rpartition(":")
    return Remote(host=host.strip("[]"), port=int(port), key=settings.EXTRACTOR_KEY.encode())


def _error(kind: Kind, payload: bytes) -> DomainError:
    if kind is not Kind.ERROR:
        return errors.ExtractorFailed("the extractor answered out of turn")
    members = framing.members(payload)
    return _ERRORS.get(members.get("error_code", ""), errors.ExtractorFailed)(str(members.get("detail", "")))
