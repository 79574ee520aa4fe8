"""Rate limits for the event loop: counted here at once, told to Redis soon after (OPS-47, OPS-49).

Windows and keys are those of limits.py, so both ways of counting share one limit. A process hears what the others have
counted within SEND_EVERY_S; by that much a limit may be overrun, and no request waits for Redis.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import structlog
from django.conf import settings
from django.core.cache import cache
from django_ratelimit import ALL, core

from sessions_app.access import limits
from sessions_app.access.auth import Caller
from sessions_app.access.limits import Rate, Usage

SEND_EVERY_S: Final = 0.1

log = structlog.get_logger(__name__)


def use(rate: Rate, caller: Caller) -> Usage | None:
    """Count one use by `caller`, on the event loop and without waiting; None without a limit."""
    limit = getattr(settings, rate.setting)
    if not limit:
        return None
    who, now = caller.name or "anonymous", int(time.time())
    window = _windows.get((rate.group, who))
    if window is None or window.ends < now or window.limit != limit:
        window = _windows[rate.group, who] = _open(rate, who, limit)
    window.count += 1
    window.unsent += 1
    _send_soon()
    return None if _redis.is_away else Usage(limit, window.most, window.count, max(1, window.ends - now))


def forget_everything() -> None:
    """Begin as a new process does."""
    _windows.clear()
    _redis.is_away = False


@dataclass(slots=True)
class _Window:
    """What one caller has used of one limit until `ends` (Unix seconds)."""

    key: str
    limit: str
    most: int
    ends: int
    lives_s: int
    count: int = 0
    unsent: int = 0


class _Redis:
    """What the last sending has told."""

    is_away = False
    sent_at = 0.0  # the loop's clock


def _open(rate: Rate, who: str, limit: str) -> _Window:
    most, period_s = core._split_rate(limit)
    ends = core._get_window(who, period_s)
    key = core._make_cache_key(limits.group(rate), ends, limit, who, ALL)
    return _Window(key, limit, most, ends, period_s + core.EXPIRATION_FUDGE)


def _send_soon() -> None:
    loop = asyncio.get_running_loop()
    if loop not in _sending:
        _sending.add(loop)
        # The first one goes at once: it also tells whether Redis is there.
        pause_s = _redis.sent_at + SEND_EVERY_S - loop.time()
        loop.call_later(max(0.0, pause_s), _send, loop)


def _send(loop: asyncio.AbstractEventLoop) -> None:
    _sending.discard(loop)
    _redis.sent_at = loop.time()
    now = int(time.time())
    for name in [name for name, window in _windows.items() if window.ends < now]:
        del _windows[name]
    unsent = [window for window in _windows.values() if window.unsent]
    counts = [window.unsent for window in unsent]
    for window in unsent:
        window.unsent = 0
    if unsent:
        loop.run_in_executor(_teller, _add, loop, unsent, counts)


def _add(loop: asyncio.AbstractEventLoop, windows: Sequence[_Window], counts: Sequence[int]) -> None:
    """In a thread: add to the shared counts, and bring home what they are now."""
    try:
        totals = [_increased(window, count) for window, count in zip(windows, counts, strict=True)]
    except limits.AWAY as error:
        _redis.is_away = True  # everybody passes until it answers again (OPS-49)
        log.warning("limits.unavailable", limit="tallies", error=str(error))
        return
    _redis.is_away = False
    with contextlib.suppress(RuntimeError):  # the loop may have closed meanwhile
        loop.call_soon_threadsafe(_take_home, windows, totals)


def _increased(window: _Window, count: int) -> int:
    if cache.add(window.key, count, window.lives_s):
        return count
    return int(cache.incr(window.key, count))


def _take_home(windows: Sequence[_Window], totals: Sequence[int]) -> None:
    for window, total in zip(windows, totals, strict=True):
        window.count = total + window.unsent


_teller = ThreadPoolExecutor(1, thread_name_prefix="tallies")  # one thread: Django's cache keeps its connection there
_redis = _Redis()
_windows: dict[tuple[str, str], _Window] = {}
_sending: set[asyncio.AbstractEventLoop] = set()
