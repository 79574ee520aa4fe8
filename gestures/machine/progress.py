"""How far one capture is, as a value, and the timers that run meanwhile (GES-4, GES-5). Pure.

Times are monotonic seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gestures import errors, limits
from gestures.machine import moves
from sessions_app.kinds import Unauthenticated


class Phase(StrEnum):
    """The states of GES-18; in OPENING and STORING it is the shell that is at work."""

    AUTH = "auth"
    IDLE = "idle"
    OPENING = "opening"
    ACTIVE = "active"
    PENDING = "pending"
    DRAINING = "draining"
    STORING = "storing"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Capture:
    """One connection's capture. Counters move only when a frame is accepted (GES-19)."""

    phase: Phase
    since: float  # when the phase's own timer began
    upload: bool = False
    token_welcome: bool = False  # no token is needed, but one that is sent counts (SES-7)
    connected: bool = True
    opened: moves.Open | None = None
    opened_at: float = 0.0
    heard_at: float = 0.0
    checked_at: float = 0.0
    paused_at: float | None = None  # since when the client is not read, because the forward queue is full (GES-33)
    meta: moves.FrameMeta | None = None
    frames: int = 0
    size_bytes: int = 0
    rows: int = 0
    last_frame: datetime | None = None
    timestamp_end: datetime | None = None

    @property
    def reading(self) -> bool:
        """Whether the shell may read the next message of the client."""
        return self.connected and self.paused_at is None and self.phase not in (Phase.OPENING, Phase.CLOSED)

    @property
    def open(self) -> moves.Open:
        """The open, of a capture that has one."""
        assert self.opened is not None
        return self.opened


def timers(capture: Capture) -> Iterator[tuple[float, moves.Event]]:
    """Every running timer: when it ends, and what then happens to the capture."""
    phase = capture.phase
    if phase is Phase.AUTH:
        yield capture.since + limits.AUTH_S, moves.Failed(Unauthenticated())
    elif phase is Phase.IDLE:
        yield capture.since + limits.OPEN_S, moves.Garbled("no capture.open within 10 s")
    elif phase is Phase.DRAINING:
        yield capture.since + limits.DRAIN_S, moves.Failed(errors.DrainTimeout())
        yield capture.checked_at + limits.REVALIDATE_S, moves.Recheck()
    elif phase in (Phase.ACTIVE, Phase.PENDING):
        yield _frame_timer(capture)
        yield capture.checked_at + limits.REVALIDATE_S, moves.Recheck()
        if not capture.upload:
            yield capture.opened_at + limits.MAX_CONNECTED_S, moves.Failed(errors.LimitDurationExceeded())
    if capture.upload and phase not in (Phase.STORING, Phase.CLOSED):
        yield capture.opened_at + limits.UPLOAD_S, moves.Failed(errors.DrainTimeout("the upload took over 180 s"))


def _frame_timer(capture: Capture) -> tuple[float, moves.Event]:
    """What the client, or while it is not read the extractor, has to do next."""
    if capture.paused_at is not None:
        return capture.paused_at + limits.FORWARD_FULL_S, moves.Failed(errors.LimitForwardBufferExceeded())
    if capture.upload:
        return capture.heard_at + limits.UPLOAD_SILENCE_S, moves.Garbled("no byte for 10 s")
    if capture.phase is Phase.PENDING:
        return capture.heard_at + limits.FRAME_AFTER_META_S, moves.Garbled("no frame within 2 s of its meta")
    return capture.heard_at + limits.SILENCE_S, moves.Garbled("no message for 5 s")
