"""Which store holds the hole state of this process (ADV-33 to ADV-37).

Decided once, at start. A store that fails later is an error and never another store (ADV-36): replicas would part ways.
"""

import threading

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from routing.golf.hole_stores.contract import Store
from routing.golf.hole_stores.db import DbStore
from routing.golf.hole_stores.memory import MemoryStore
from routing.golf.hole_stores.redis import RedisStore

FALLBACK_WARNING = "SESSION_STORE_FALLBACK: redis did not answer at start-up, sessions are held in this process only"

log = structlog.get_logger(__name__)


def current() -> Store:
    """The store of this process, chosen at the first call and never again.

    Raises ImproperlyConfigured when Redis does not answer and SESSION_STORE_FALLBACK is false (ADV-35).
    """
    global _chosen
    with _choosing:
        if _chosen is None:
            _chosen = _choose()
        return _chosen


def is_fallback() -> bool:
    """Whether Redis was asked for and memory is used."""
    return settings.SESSION_STORE_BACKEND == "redis" and current().backend == "memory"


def _choose() -> Store:
    if settings.SESSION_STORE_BACKEND == "db":
        return DbStore()
    if settings.SESSION_STORE_BACKEND == "memory":
        return MemoryStore()
    store = RedisStore(settings.SESSION_STORE_REDIS_URL)
    if store.ping():
        return store
    if not settings.SESSION_STORE_FALLBACK:
        raise ImproperlyConfigured(
            "SESSION_STORE_BACKEND=redis, but Redis does not answer and SESSION_STORE_FALLBACK is false."
        )
    log.warning("hole_store.fallback", requested="redis", used="memory")
    return MemoryStore()


_chosen: Store | None = None
_choosing = threading.Lock()
