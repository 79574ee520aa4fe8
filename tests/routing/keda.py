"""What KEDA does with a ScaledObject of ours, for clusters real and pretended."""

import time
from typing import Any

import redis


class Keda:
    """Polls lists; with `cooldown_s` of rest it takes the replica away."""

    def __init__(self, redis_url: str, *, cooldown_s: float = 3600.0) -> None:
        self.cooldown_s = cooldown_s
        self._redis = redis.Redis.from_url(redis_url)
        self._active_at: dict[str, float] = {}

    def wanted(self, scaled: dict[str, Any], replicas: int) -> int:
        """The replicas its Deployment ought to have: active while a list is longer than its activation length."""
        name, now = scaled["metadata"]["name"], time.monotonic()
        if any(self._is_active(one["metadata"]) for one in scaled["spec"]["triggers"]):
            self._active_at[name] = now
            return max(1, replicas)
        # Also when it never was active: a wake that KEDA did not see is undone.
        is_over = now - self._active_at.get(name, -1e9) > self.cooldown_s
        return 0 if is_over else replicas

    def close(self) -> None:
        """End."""
        self._redis.close()

    def _is_active(self, trigger: dict[str, str]) -> bool:
        return bool(self._redis.llen(trigger["listName"]) > int(trigger["activationListLength"]))
