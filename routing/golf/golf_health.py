"""What golf says of itself in `/health` (ADV-37, OPS-29): greens, the store of hole state, services, bundles."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from routing.golf import datasets, hole_store
from routing.golf.datasets import Registry
from routing.golf.golf_services import SERVICES, Service
from routing.golf.hole_stores.contract import Store
from routing.golf.hole_stores.redis import RedisStore


def members() -> dict[str, Any]:
    """The golf members of the health object; no URL shows a user, a password or a query."""
    registry = datasets.registry()
    return {
        "dataset_registry_loaded": registry.error is None,
        "dataset_count": len(registry.datasets),
        "dataset_registry": _registry(registry),
        "session_store": _store(hole_store.current()),
        "services": {service.name: _service(service) for service in SERVICES},
        "debug_bundle": {"enabled": settings.DEBUG_BUNDLE_ENABLED},
    }


def warnings() -> Iterator[str]:
    """Why the whole is degraded, one sentence each, beginning with its symbol; none when it is not."""
    if hole_store.is_fallback():
        yield hole_store.FALLBACK_WARNING
    if datasets.registry().error is not None:
        yield "DATASET_REGISTRY_UNREADABLE: the registry of greens could not be read at start"
    for service in SERVICES:
        if service.breaker.state == "open":
            yield f"BREAKER_OPEN: {service.name} failed too often and is left alone for some seconds"


def _registry(registry: Registry) -> dict[str, Any]:
    said = {"error": registry.error, "warning": registry.warning}
    return {
        "loaded": registry.error is None,
        "count": len(registry.datasets),
        "invalid": [refusal.dtm_id for refusal in registry.invalid],
        **{name: text for name, text in said.items() if text is not None},
    }


def _store(store: Store) -> dict[str, Any]:
    is_fallback = hole_store.is_fallback()
    return {
        "backend": store.backend,
        "requested_backend": settings.SESSION_STORE_BACKEND,
        "fallback": is_fallback,
        "durable": store.backend == "db",
        "ttl_seconds": settings.HOLE_STATE_TTL_S,
        **(_redis(store) if isinstance(store, RedisStore) else {}),
        **({"warning": hole_store.FALLBACK_WARNING} if is_fallback else {}),
    }


def _redis(store: RedisStore) -> dict[str, Any]:
    return {
        "redis_url": _public(settings.SESSION_STORE_REDIS_URL),
        "key_prefix": settings.REDIS_SESSION_PREFIX,
        "redis_ping": store.ping(),
    }


def _service(service: Service) -> dict[str, Any]:
    age_s = service.last_ok_age_s()
    return {
        "enabled": bool(service.url),
        **({"base_url": _public(service.url)} if service.url else {}),
        "api_key_configured": bool(service.key),
        "breaker": service.breaker.state,
        **({} if age_s is None else {"last_ok_age_s": age_s}),
    }


def _public(url: str) -> str:
    """The URL without what is secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
