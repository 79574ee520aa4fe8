"""Rate limits for those who should not wait: counted here at once, told to Redis soon after (OPS-47, OPS-49).

Windows and keys are those of limits.py, so all ways of counting share one limit. A process tells Redis what it has
counted every SEND_EVERY_S, and hears what the others have; by that much a limit may be overrun by `use`, on the event
loop. Threads can wait: `use_or_ask` asks Redis itself, unless little is used up and the last news are young.
"""

import threading
import time
from dataclasses import dataclass
from typing import Final

import structlog
from django.conf import settings

from sessions_app.access import limits
from sessions_app.access.auth import Caller
from sessions_app.access.limits import Rate, Usage, Window
from sessions_app.errors import RedisUnavailable

SEND_EVERY_S: Final = 0.1
YOUNG_S: Final = 1.0  # so old may be what is known of the others' counts
CLEAR_SHARE: Final = 0.5  # of a limit: up to here the others can hardly have used up the rest meanwhile

log = structlog.get_logger(__name__)


def use(rate: Rate, caller: Caller) -> Usage | None:
    """Count one use by `caller` without waiting; None without a limit, or with Redis away: all pass then."""
    with _changing:
        tally = _counted(rate, caller)
    return None if tally is None else _unasked(tally)


def use_or_ask(rate: Rate, caller: Caller) -> Usage | None:
    """The same, but Redis has the word where the limit may be near; it may take limits.WAIT_S."""
    with _changing:
        tally = _counted(rate, caller)
        uses = 0 if tally is None or tally.is_clear() or _redis.is_away else tally.take()
    if tally is None or not uses:
        return None if tally is None else _unasked(tally)
    total = _tell(tally, uses)
    return None if total is None else tally.window.usage(total)


def forget_everything() -> None:
    """Begin as a new process does."""
    with _changing:
        _tallies.clear()
        _redis.is_away = False


@dataclass(slots=True)
class _Tally:
    """What one caller has used of one limit in one window, as far as is known here."""

    window: Window
    count: int = 0
    unsent: int = 0
    heard_at: float = -YOUNG_S  # monotonic

    def is_clear(self) -> bool:
        """Whether the limit is far, and that is no old news."""
        is_young = time.monotonic() - self.heard_at < YOUNG_S
        return is_young and self.count <= self.window.most * CLEAR_SHARE

    def take(self) -> int:
        """The uses to be told now."""
        uses, self.unsent = self.unsent, 0
        return uses


class _Redis:
    """What the last telling has told."""

    is_away = False


def _counted(rate: Rate, caller: Caller) -> _Tally | None:
    who = caller.name or "anonymous"
    tally = _tallies.get((rate.group, who))
    is_over = tally is None or tally.window.ends < int(time.time())
    if tally is None or is_over or tally.window.limit != getattr(settings, rate.setting):
        window = limits.window(rate, who)
        if window is None:
            return None
        tally = _tallies[rate.group, who] = _Tally(window)
    tally.count += 1
    tally.unsent += 1
    return tally


def _unasked(tally: _Tally) -> Usage | None:
    _teller.wake()
    return None if _redis.is_away else tally.window.usage(tally.count)


def _tell(tally: _Tally, uses: int) -> int | None:
    """Add to the shared count; what that is now, or None with Redis away: everybody passes until it answers again."""
    try:
        total = limits.add(tally.window, uses)
    except RedisUnavailable as error:
        _redis.is_away = True
        log.warning("limits.unavailable", limit="tallies", error=str(error.__cause__))
        return None
    with _changing:
        _redis.is_away = False
        tally.count = max(tally.count, total + tally.unsent)
        tally.heard_at = time.monotonic()
    return total


class _Teller:
    """The thread that tells Redis; it starts with the first use and sleeps while there is none."""

    def __init__(self) -> None:
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is something to tell."""
        if self._thread is None:
            with _changing:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="tallies", daemon=True)
                    self._thread.start()
        if not self._wake.is_set():
            self._wake.set()

    def _run(self) -> None:
        while self._wake.wait():
            self._wake.clear()
            for tally, uses in _unsent():
                if _tell(tally, uses) is None:
                    break
            time.sleep(SEND_EVERY_S)


def _unsent() -> list[tuple[_Tally, int]]:
    """What is to be told; windows that are over are forgotten."""
    now = int(time.time())
    with _changing:
        found = [(tally, tally.take()) for tally in _tallies.values() if tally.unsent]
        for name in [name for name, tally in _tallies.items() if tally.window.ends < now]:
            del _tallies[name]
    return found


_changing = threading.Lock()
_redis = _Redis()
_tallies: dict[tuple[str, str], _Tally] = {}
_teller = _Teller()
