"""One timer for all deadlines of a process: who is due in which second. A connection needs no timer of its own.

A slot is a set, so that what is looked at no more is let go of at once, and does not live on until its second comes.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)


class Watched(Protocol):
    """What the wheel looks at when it is due."""

    due_at: int  # the wheel's second of the next look; the wheel's own to change

    def check(self, now: float) -> float | None:
        """Do what is due at `now`, by the loop's clock; returns when to look again, None for never."""


class Wheel:
    """Slots of one second on the loop's clock; a deadline is met at most a second late."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._slots: defaultdict[int, set[Watched]] = defaultdict(set)
        self._second = int(self.loop.time())

    def start(self) -> None:
        """Turn, as long as the loop runs."""
        self.loop.call_at(self._second + 1, self._turn)

    def watch(self, watched: Watched, at: float) -> None:
        """Look at `watched` at the loop's time `at`, and no more at the time it was to be looked at before."""
        self.forget(watched)
        watched.due_at = max(int(at) + 1, self._second + 1)
        self._slots[watched.due_at].add(watched)

    def forget(self, watched: Watched) -> None:
        """Look at `watched` no more."""
        slot, watched.due_at = self._slots.get(watched.due_at), 0
        if slot is not None:
            slot.discard(watched)

    def every(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` every so many seconds."""
        regular = _Regular(seconds, act)
        self.watch(regular, self.loop.time() + seconds)

    def _turn(self) -> None:
        now = self.loop.time()
        while self._second < int(now):
            self._second += 1
            for watched in self._slots.pop(self._second, ()):
                if watched.due_at == self._second:  # none of those before it has moved it
                    self._look(watched, now)
        self.loop.call_at(self._second + 1, self._turn)

    def _look(self, watched: Watched, now: float) -> None:
        try:
            again = watched.check(now)
        except Exception:
            log.exception("wheel.check_failed")
            again = now + 1
        if again is not None:
            self.watch(watched, again)


class _Regular:
    """Something done at even intervals."""

    __slots__ = ("_act", "_seconds", "due_at")

    def __init__(self, seconds: float, act: Callable[[], None]) -> None:
        self._seconds, self._act, self.due_at = seconds, act, 0

    def check(self, now: float) -> float:
        """Do it, and again later."""
        self._act()
        return now + self._seconds


def here() -> Wheel:
    """The wheel of the running loop, set turning on first use."""
    if not _turning or _turning[0].loop is not asyncio.get_running_loop():
        _turning[:] = [Wheel()]
        _turning[0].start()
    return _turning[0]


_turning: list[Wheel] = []
