"""Golf settings that parse and mean nothing, or are better not live (OPS-61, ADV-33, ADV-54)."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register


@register
def refuse_golf_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """All findings."""
    return [*_unreadable(), *([] if settings.DEBUG else _warnings())]


def _unreadable() -> Iterator[CheckMessage]:
    for name, (means_something, remedy) in _FORMS.items():
        if not means_something(getattr(settings, name)):
            yield Error(f"{name} has a value that means nothing.", hint=remedy, id="baton.E006")


def _warnings() -> Iterator[CheckMessage]:
    if settings.SESSION_STORE_BACKEND == "memory":
        yield Warning(
            "SESSION_STORE_BACKEND=memory holds hole state in one process and loses it at a restart.",
            hint="Use db, or redis.",
            id="baton.W002",
        )
    if settings.DEBUG_BUNDLE_ENABLED:
        yield Warning(
            "DEBUG_BUNDLE_ENABLED writes positions to disk.", hint="Switch it off after the test.", id="baton.W004"
        )


def _between(low: float, high: float) -> Callable[[float], bool]:
    return lambda value: low <= value <= high


def _is_positive(value: float) -> bool:
    return 0 < value < 1e9  # not NaN, not infinite


def _is_service(value: str) -> bool:
    parts = urlsplit(value)
    return value == "" or (parts.scheme in ("http", "https") and bool(parts.netloc))


def _is_player(value: str) -> bool:
    """An object whose only members are the objects `player` and `conditions`."""
    try:
        found = json.loads(value or "{}")
    except ValueError:
        return False
    return (
        isinstance(found, dict)
        and found.keys() <= {"player", "conditions"}
        and all(isinstance(member, dict) for member in found.values())
    )


def _is_redis(value: str) -> bool:
    return urlsplit(value).scheme in ("redis", "rediss", "unix")


_STREAK = (_between(1, 20), "Write a whole number from 1 to 20.")
_MARGIN = (_between(0, 20), "Write metres from 0 to 20.")
_POSITIVE = (_is_positive, "Write a number above 0.")
_SERVICE = (_is_service, "Write an http or https URL, or nothing.")
_FORMS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "SESSION_STORE_BACKEND": (("db", "redis", "memory").__contains__, "Write db, redis or memory."),
    "SESSION_STORE_REDIS_URL": (_is_redis, "Write a redis URL, or nothing for the shared one."),
    "REDIS_SESSION_PREFIX": (bool, "Write a prefix."),
    "HOLE_STATE_TTL_S": _POSITIVE,
    "SURFACE_COMMIT_ON_STREAK": _STREAK,
    "SURFACE_COMMIT_OFF_STREAK": _STREAK,
    "SURFACE_MARGIN_M": _MARGIN,
    "UNKNOWN_MARGIN_M": _MARGIN,
    "SURFACE_ACCURACY_MAX_M": _POSITIVE,
    "SURFACE_GAP_S": _POSITIVE,
    "SURFACE_MAX_SPEED_MPS": _POSITIVE,
    "PUTT_SOLVER_URL": _SERVICE,
    "TEE_TO_GREEN_URL": _SERVICE,
    "PUTT_SOLVER_TIMEOUT_S": _POSITIVE,
    "TEE_TO_GREEN_TIMEOUT_S": _POSITIVE,
    "PUTT_PAST_CUP_M": (_between(0.05, 2), "Write metres from 0.05 to 2."),
    "PLANNER_PLAYER_JSON": (_is_player, 'Write {"player": {...}, "conditions": {...}}.'),
    "DEBUG_BUNDLE_MAX_AGE_S": _POSITIVE,
    "DEBUG_BUNDLE_MAX_COUNT": _POSITIVE,
}
