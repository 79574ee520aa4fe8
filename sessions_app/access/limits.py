"""Door to django-ratelimit (OPS-47): fixed windows counted in Redis, per caller or per address."""

import time
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django_ratelimit.core import get_usage
from redis.exceptions import RedisError

from sessions_app.access.auth import Caller
from sessions_app.errors import RedisUnavailable
from sessions_app.kinds import RateLimited

AWAY = (RedisError, OSError)  # Redis does not answer

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


def count(rate: Rate, request: Any, caller: Caller, *, key: str | None = None) -> None:
    """Count one request of `caller`, or of `key`, and note the headers of its answer. Raises RateLimited."""
    usage = use(rate, caller, key=key)
    if usage is not None:
        request.rate_headers = usage.headers
        usage.check()


def group(rate: Rate) -> str:
    """The name under which a limit is counted."""
    return f"baton.{rate.group}"


def use(rate: Rate, caller: Caller, *, key: str | None = None) -> Usage | None:
    """Count one use by `caller`, or of `key`; None without a limit, or with Redis away: all pass then (OPS-49)."""
    try:
        return measure(rate, key or caller.name or "anonymous")
    except RedisUnavailable as error:
        log.warning("limits.unavailable", limit=rate.group, error=str(error.__cause__))
        return None


def measure(rate: Rate, key: str) -> Usage | None:
    """Count one use under `key`, a caller or an address; None without a limit. Raises RedisUnavailable."""
    limit = getattr(settings, rate.setting)
    if not limit:
        return None
    try:
        # The request plays no part in a key of our own.
        found = get_usage(None, group=group(rate), key=lambda *_: key, rate=limit, increment=True)
    except AWAY as error:
        raise RedisUnavailable from error
    if found is None:
        return None
    return Usage(limit, int(found["limit"]), int(found["count"]), max(1, int(found["time_left"])))
