"""What one web process tells the members of one session, state frames in the order of their versions (DEV-43, L4).

Frames of one session are committed by any process and so arrive in any order. Order sorts them: the next seq passes, a
later one waits for what is missing, an old one is dropped.
"""

from collections.abc import Callable
from typing import Protocol

from sessions_app.protocol import Frame, Notice

MAX_HELD_FRAMES = 256  # beyond this the log is the better place to look

Listener = Callable[[Notice], None]


class Member(Protocol):
    """A connection that takes part in a session."""

    def deliver(self, frame: Frame) -> None:
        """Send a frame; state frames come in order."""

    def resync(self) -> None:
        """State frames are missing that no log holds any more: send a snapshot instead."""


class Order:
    """The place of a session's state frames: the last one that passed, and those that came too early. Pure."""

    __slots__ = ("epoch", "held", "is_known", "seq")

    def __init__(self) -> None:
        self.epoch: str | None = None
        self.seq = 0
        self.is_known = False  # until the first look at the state every frame waits
        self.held: dict[tuple[str | None, int], Frame] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether a frame came that does not follow the last one."""
        return bool(self.held)

    def take(self, frame: Frame) -> list[Frame]:
        """The frames that may pass now that `frame` is here."""
        if not self.is_known:
            self._hold(frame)
            return []
        if frame.epoch == self.epoch and frame.seq <= self.seq:
            return []
        if not self._follows(frame):
            self._hold(frame)
            return []
        return self._passing(frame)

    def place(self, epoch: str | None, seq: int) -> list[Frame]:
        """Continue after the state that was read as the current one; returns the waiting frames that come after it.

        Nothing moves back: a reading older than what has passed only discards what is older still.
        """
        if not self.is_known or epoch != self.epoch or seq > self.seq:
            self.epoch, self.seq, self.is_known = epoch, seq, True
        self.held = {
            place: frame
            for place, frame in self.held.items()
            if (frame.epoch == self.epoch and frame.seq > self.seq) or (frame.epoch != self.epoch and frame.seq == 1)
        }
        following = next((frame for frame in self.held.values() if self._follows(frame)), None)
        return self._passing(following) if following else []

    def _follows(self, frame: Frame) -> bool:
        return frame.seq == (self.seq + 1 if frame.epoch == self.epoch else 1)

    def _hold(self, frame: Frame) -> None:
        if len(self.held) < MAX_HELD_FRAMES:
            self.held[frame.epoch, frame.seq] = frame

    def _passing(self, frame: Frame | None) -> list[Frame]:
        passing = []
        while frame is not None:
            self.epoch, self.seq = frame.epoch, frame.seq
            self.held.pop((frame.epoch, frame.seq), None)
            passing.append(frame)
            frame = self.held.get((self.epoch, self.seq + 1))
        return passing


class Feed:
    """The members and listeners that one process has for one session."""

    __slots__ = ("filling", "listeners", "members", "order", "session_id")

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.members: tuple[Member, ...] = ()
        self.listeners: tuple[Listener, ...] = ()
        self.order = Order()
        self.filling = False  # somebody is already looking up what is missing

    @property
    def is_idle(self) -> bool:
        """Whether nobody here wants to hear of the session."""
        return not self.members and not self.listeners

    def deliver(self, frame: Frame) -> None:
        """Pass a frame on to the members, a state frame as soon as it is its turn."""
        if not frame.is_state:
            self._pass([frame])
        elif self.members:
            self._pass(self.order.take(frame))

    def place(self, epoch: str | None, seq: int) -> None:
        """The state has been read: pass on what comes after it."""
        self._pass(self.order.place(epoch, seq))

    def notify(self, notice: Notice) -> None:
        """Tell the listeners."""
        for listener in self.listeners:
            listener(notice)

    def _pass(self, frames: list[Frame]) -> None:
        for frame in frames:
            for member in self.members:
                member.deliver(frame)
