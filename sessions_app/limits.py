"""Door to django-ratelimit (OPS-47): fixed windows counted in Redis, per caller or per address."""

import time
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django_ratelimit.core import get_usage
from redis.exceptions import RedisError

from sessions_app.auth import Caller
from sessions_app.errors import RateLimited

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rate:
    """One limit: the group of endpoints it counts together and the setting that holds `<n>/<s|m|h|d>`."""

    group: str
    setting: str


def count(rate: Rate, request: Any, caller: Caller) -> None:
    """Count one request of `caller`. Raises RateLimited; with Redis away everybody passes (OPS-49)."""
    limit = getattr(settings, rate.setting)
    if not limit:
        return
    key = caller.name or "anonymous"
    try:
        usage = get_usage(
            request._request, group=f"baton.{rate.group}", key=lambda group, request: key, rate=limit, increment=True
        )
    except (RedisError, OSError) as error:
        log.warning("limits.unavailable", limit=rate.group, error=str(error))
        return
    if usage is None:
        return
    left = max(1, int(usage["time_left"]))
    request._request.rate_headers = {
        "X-RateLimit-Limit": str(usage["limit"]),
        "X-RateLimit-Remaining": str(max(0, usage["limit"] - usage["count"])),
        "X-RateLimit-Reset": str(int(time.time()) + left),
    }
    if usage["should_limit"]:
        raise RateLimited(f"At most {limit.replace('/', ' requests per ')}.", retry_after=left, limit=limit)
