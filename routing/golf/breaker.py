"""When a failing service is left alone (ADV-72): a breaker per service and process. Pure; `clock` gives seconds."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

FAILURES, WITHIN_S, OPEN_S = 5, 30.0, 10.0

State = Literal["closed", "open", "half_open"]


class Open(Exception):
    """The service is left alone for `left_s` more seconds."""

    def __init__(self, left_s: float) -> None:
        super().__init__(f"open for {left_s:.1f} s")
        self.left_s = left_s


class Breaker:
    """Opens after FAILURES failures within WITHIN_S, stays open OPEN_S, then lets one probe through."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: deque[float] = deque(maxlen=FAILURES)
        self._opened_at: float | None = None
        self._is_probing = False

    @property
    def state(self) -> State:
        """How it stands now."""
        if self._opened_at is None:
            return "closed"
        return "half_open" if self._clock() - self._opened_at >= OPEN_S else "open"

    def enter(self) -> None:
        """Ask before a call. Raises Open while there is to be none; after that time one caller probes, others wait."""
        with self._lock:
            if self._opened_at is None:
                return
            left_s = self._opened_at + OPEN_S - self._clock()
            if left_s > 0:
                raise Open(left_s)
            if self._is_probing:
                raise Open(1.0)
            self._is_probing = True

    def succeed(self) -> None:
        """The service answered as it should: all is forgotten."""
        with self._lock:
            self._failures.clear()
            self._opened_at, self._is_probing = None, False

    def refuse(self) -> None:
        """The service answered, with a 4xx: no failure, and for a probe a sign of life."""
        with self._lock:
            if self._is_probing:
                self._failures.clear()
                self._opened_at, self._is_probing = None, False

    def fail(self) -> None:
        """The call failed."""
        with self._lock:
            now = self._clock()
            self._failures.append(now)
            is_full = len(self._failures) == FAILURES and now - self._failures[0] <= WITHIN_S
            if self._is_probing or (is_full and self._opened_at is None):  # what was on its way prolongs nothing
                self._opened_at, self._is_probing = now, False
