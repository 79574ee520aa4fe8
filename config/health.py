"""The three probes (OPS-26 to OPS-30): no credential, no limit, JSON also for 503."""

import os
import time
from collections.abc import Callable
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views import View

from gestures import extractor
from routing.golf import golf_health
from routing.pod import pod_health
from sessions_app import clock, drain

_STARTED = time.monotonic()


class Probe(View):
    """A GET or HEAD that is never cached."""

    http_method_names = ["get", "head"]

    def answer(self, members: dict[str, Any], status: int = 200) -> JsonResponse:
        """`members` as JSON; a 503 says when to ask again."""
        headers = {"Cache-Control": "no-store", **({"Retry-After": "5"} if status == 503 else {})}
        return JsonResponse(members, status=status, headers=headers)


class Livez(Probe):
    """`GET /livez`: the process turns."""

    def get(self, request: HttpRequest) -> JsonResponse:
        """Always 200."""
        return self.answer({"status": "alive"})


class Readyz(Probe):
    """`GET /readyz`: whether requests should come here."""

    def get(self, request: HttpRequest) -> JsonResponse:
        """200, or 503 while anything that counts is not ok."""
        checks = {name: check() for name, check in READINESS.items()}
        ready = all(value == "ok" for value in checks.values())
        checks |= {name: check() for name, check in MENTIONED.items()}
        return self.answer({"status": "ready" if ready else "unready", "checks": checks}, 200 if ready else 503)


class Health(Probe):
    """`GET /health`: what an operator wants to know at a glance."""

    def get(self, request: HttpRequest) -> JsonResponse:
        """200 healthy or degraded; 503 when PostgreSQL or Redis does not answer."""
        stores = {"redis": _redis(), "database": _database()}
        healthy = {name: "healthy" if value == "ok" else "unhealthy" for name, value in stores.items()}
        status = "healthy" if set(healthy.values()) == {"healthy"} else "unhealthy"
        warnings = [*golf_health.warnings(), *extractor.warnings(), *pod_health.warnings()]
        if status == "healthy" and warnings:
            status = "degraded"
        members = {
            "status": status,
            "timestamp": clock.stamp(clock.now()),
            "version": settings.VERSION,
            "uptime": uptime(time.monotonic() - _STARTED),
            **healthy,
            "extractor": "healthy" if extractor.health() == "ok" else "unhealthy",
            "kubernetes": pod_health.state(),
            "warnings": warnings,
            **golf_health.members(),
        }
        return self.answer(members, 503 if status == "unhealthy" else 200)


def uptime(seconds: float) -> str:
    """`72h15m30s`: leading zero units left out, inner ones kept (OPS-28)."""
    hours, rest = divmod(int(seconds), 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{left}s"
    return f"{minutes}m{left}s" if minutes else f"{left}s"


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "unreachable"
    return "ok"


def _migrations() -> str:
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "unreachable"
    return "pending" if pending else "ok"


def _redis() -> str:
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=0.5, socket_timeout=0.5) as client:
            client.ping()
    except (redis.RedisError, OSError):
        return "unreachable"
    return "ok"


def _writable(setting: str) -> Callable[[], str]:
    def check() -> str:
        return "ok" if os.access(getattr(settings, setting), os.W_OK | os.X_OK) else "not_writable"

    return check


READINESS: dict[str, Callable[[], str]] = {
    "database": _database,
    "migrations": _migrations,
    "redis": _redis,
    "data_root": _writable("DATA_ROOT"),
    "log_root": _writable("LOG_ROOT"),
    "draining": lambda: "draining" if drain.is_draining() else "ok",
}

# Said, but never a reason for 503: without them only a part of the product stands still (OPS-26, GES-36).
MENTIONED: dict[str, Callable[[], str]] = {
    "extractor": extractor.health,
    "kubernetes": lambda: {"unhealthy": "unavailable", "healthy": "ok"}.get(pod_health.state(), pod_health.state()),
}
