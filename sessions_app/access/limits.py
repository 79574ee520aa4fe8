"""Door to django-ratelimit (OPS-47): fixed windows counted in Redis, per caller or per address.

Windows, keys and the reading of a rate are django-ratelimit's. Its counting is not: it asks the cache three times and
has Django make a client of Redis anew for each request, where one script over a kept connection tells the same.
"""

import time
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import structlog
from django.conf import settings
from django.core.cache import caches
from django_ratelimit import ALL, core

from sessions_app import redisdoor
from sessions_app.access.auth import Caller
from sessions_app.errors import RedisUnavailable
from sessions_app.kinds import RateLimited

WAIT_S: Final = 0.5  # POD-9: limits wait no longer for Redis
# KEYS: a window. ARGV: uses to add, seconds it is kept. Gives the uses of all processes.
_ADD = """
    local count = redis.call('INCRBY', KEYS[1], ARGV[1])
    if count == tonumber(ARGV[1]) then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
    return count
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rate:
    """One limit: the group of endpoints it counts together and the setting that holds `<n>/<s|m|h|d>`."""

    group: str
    setting: str


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a limit one caller has used in the running window."""

    limit: str
    most: int
    count: int
    left_s: int

    @property
    def headers(self) -> dict[str, str]:
        """What every answer of a limited endpoint carries (OPS-48)."""
        return {
            "X-RateLimit-Limit": str(self.most),
            "X-RateLimit-Remaining": str(max(0, self.most - self.count)),
            "X-RateLimit-Reset": str(int(time.time()) + self.left_s),
        }

    def check(self) -> None:
        """Raises RateLimited when the limit is exceeded."""
        if self.count > self.most:
            every = self.limit.replace("/", " requests per ")
            raise RateLimited(f"At most {every}.", retry_after=self.left_s, limit=self.limit)


def hold(request: Any, usage: Usage | None) -> None:
    """Note what the answer to `request` tells of its limit. Raises RateLimited when that is exceeded."""
    if usage is not None:
        request.rate_headers = usage.headers
        usage.check()


@dataclass(frozen=True, slots=True)
class Window:
    """The time within which the uses of one caller count together, until `ends` (Unix seconds)."""

    key: str
    limit: str
    most: int
    ends: int
    lives_s: int

    def usage(self, count: int) -> Usage:
        """What `count` uses are, now."""
        return Usage(self.limit, self.most, count, max(1, self.ends - int(time.time())))


def window(rate: Rate, key: str) -> Window | None:
    """The running window of `key`, a caller or an address; None without a limit."""
    limit = getattr(settings, rate.setting)
    if not limit:
        return None
    most, period_s = core._split_rate(limit)
    ends = core._get_window(key, period_s)
    name = core._make_cache_key(f"baton.{rate.group}", ends, limit, key, ALL)
    return Window(_full_key(name), limit, most, ends, period_s + core.EXPIRATION_FUDGE)


def add(window: Window, uses: int = 1) -> int:
    """Count `uses` more; gives how many there are now. Raises RedisUnavailable."""
    return int(redisdoor.run(_ADD, [window.key], [uses, window.lives_s], answer_s=WAIT_S))


def use(rate: Rate, caller: Caller, *, key: str | None = None) -> Usage | None:
    """Count one use by `caller`, or of `key`; None without a limit, or with Redis away: all pass then (OPS-49)."""
    try:
        return measure(rate, key or caller.name or "anonymous")
    except RedisUnavailable as error:
        log.warning("limits.unavailable", limit=rate.group, error=str(error.__cause__))
        return None


def measure(rate: Rate, key: str) -> Usage | None:
    """Count one use under `key`, a caller or an address; None without a limit. Raises RedisUnavailable."""
    running = window(rate, key)
    return None if running is None else running.usage(add(running))


def _full_key(name: str) -> str:
    return str(_cache().make_key(name))


@cache
def _cache() -> Any:
    """Django's cache as django-ratelimit would use it, for its way of naming keys."""
    return caches.create_connection("default")
