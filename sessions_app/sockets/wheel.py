"""One timer for all deadlines of a process: who is due in which second. A connection needs no timer of its own."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)


class Watched(Protocol):
    """What the wheel looks at when it is due."""

    due_at: int  # the wheel's second at which the next look counts; earlier entries are stale

    def check(self, now: float) -> float | None:
        """Do what is due at `now`, by the loop's clock; returns when to look again, None for never."""


class Wheel:
    """Slots of one second on the loop's clock; a deadline is met at most a second late."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._slots: defaultdict[int, list[Watched]] = defaultdict(list)
        self._second = int(self._loop.time())
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Turn."""
        self._timer = self._loop.call_at(self._second + 1, self._turn)

    def stop(self) -> None:
        """Stand still."""
        if self._timer is not None:
            self._timer.cancel()

    def watch(self, watched: Watched, at: float) -> None:
        """Look at `watched` at the loop's time `at`, and no more at the time it was to be looked at before."""
        watched.due_at = max(int(at) + 1, self._second + 1)
        self._slots[watched.due_at].append(watched)

    def every(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` every so many seconds."""
        regular = _Regular(seconds, act)
        self.watch(regular, self._loop.time() + seconds)

    def _turn(self) -> None:
        now = self._loop.time()
        while self._second < int(now):
            self._second += 1
            for watched in self._slots.pop(self._second, ()):
                if watched.due_at == self._second:
                    self._look(watched, now)
        self._timer = self._loop.call_at(self._second + 1, self._turn)

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
