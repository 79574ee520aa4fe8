"""One worker process as ingest sees it: a child joined by pipes (GES-32, GES-35)."""

import asyncio
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol, cast

import structlog

from gestures.extraction import framing
from gestures.extraction.framing import Kind

SETTLE_S = 5.0  # how long a worker may take from the end of a capture until it is ready again
STDERR_LINES = 20

log = structlog.get_logger(__name__)

Heard = Callable[[Kind, bytes], None]


class State(StrEnum):
    """What a worker is doing."""

    STARTING = "starting"
    READY = "ready"
    TAKEN = "taken"
    SETTLING = "settling"
    DEAD = "dead"


class Channel(Protocol):
    """One reserved worker, near or far. What it says goes to the `heard` it was reserved with."""

    layout: str

    def send(self, message: bytes) -> None:
        """Hand over one message; never blocks."""

    def release(self) -> None:
        """Nothing more is wanted; what still comes is dropped."""


class Keeper(Protocol):
    """Whoever looks after the workers."""

    broken: str | None

    def ready(self, worker: "Worker") -> None:
        """The worker waits for a capture."""

    def buried(self, worker: "Worker", was: State) -> None:
        """The worker has ended."""


class Worker(asyncio.SubprocessProtocol):
    """One child process."""

    def __init__(self, keeper: Keeper) -> None:
        self.state = State.STARTING
        self.layout = ""
        self._keeper = keeper
        self._unpacker = framing.Unpacker()
        self._heard: Heard | None = None
        self._stderr: deque[bytes] = deque(maxlen=STDERR_LINES)
        self._transport: asyncio.SubprocessTransport | None = None
        self._watchdog: asyncio.TimerHandle | None = None

    def take(self, width: int, height: int, heard: Heard) -> None:
        """Begin a capture of frames of this size, in pixels."""
        self.state, self._heard = State.TAKEN, heard
        self.send(framing.pack(Kind.OPEN, framing.document(width=width, height=height)))

    def send(self, message: bytes) -> None:
        """Hand over one message; the forward queue bounds what the pipe has to buffer (GES-33)."""
        stdin = self._transport.get_pipe_transport(0) if self._transport else None
        if stdin is not None and not stdin.is_closing():
            cast(asyncio.WriteTransport, stdin).write(message)  # uvloop's transports have no base class of asyncio's

    def release(self) -> None:
        """Drop what still comes; a worker that does not settle in time hangs, and is killed."""
        self._heard = None
        if self.state is State.TAKEN:
            self.state = State.SETTLING
        if self.state is State.SETTLING and self._watchdog is None:
            self._watchdog = asyncio.get_running_loop().call_later(SETTLE_S, self.kill)

    def kill(self) -> None:
        """End the process at once."""
        if self._transport and self._transport.get_returncode() is None:
            self._transport.kill()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's hook: the process runs."""
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """asyncio's hook: the process said something."""
        if fd == 2:
            self._stderr.extend(data.splitlines())
            return
        try:
            for kind, payload in self._unpacker.feed(data):
                self._receive(kind, payload)
        except framing.Broken as error:
            log.error("extractor.worker_broken", error=str(error))
            self.kill()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's hook: the process is gone and its pipes are read out. Only its own capture, if any, suffers."""
        was, self.state = self.state, State.DEAD
        self.end()
        if self._watchdog:
            self._watchdog.cancel()
        if was is State.TAKEN:
            last = b"\n".join(self._stderr).decode(errors="replace")
            log.warning("extractor.worker_died", stderr=last)
        self._tell(Kind.ERROR, framing.document(error_code="extractor_failed", detail="the worker died"))
        self._keeper.buried(self, was)

    def end(self) -> None:
        """Close the pipes; a process that still runs is killed."""
        if self._transport:
            self._transport.close()

    def _receive(self, kind: Kind, payload: bytes) -> None:
        if kind is Kind.READY:
            self.layout = str(framing.members(payload).get("layout", ""))
            self.state = State.READY
            if self._watchdog:
                self._watchdog.cancel()
                self._watchdog = None
            self._keeper.ready(self)
        elif kind is Kind.ERROR and self.state is State.STARTING:
            self._keeper.broken = str(framing.members(payload).get("detail", "unknown"))
        else:
            self._tell(kind, payload)

    def _tell(self, kind: Kind, payload: bytes) -> None:
        if self._heard is not None:
            self._heard(kind, payload)
        if kind is Kind.DONE:
            self.release()
