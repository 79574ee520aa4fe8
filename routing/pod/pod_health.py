"""What the probes tell of that which runs the pods (POD-31, OPS-26 to OPS-29)."""

import time
from collections.abc import Iterator
from threading import Lock

from django.conf import settings

from sessions_app.kinds import DomainError

REMEMBERED_S = 10.0  # a probe every 5 s from every replica is not to become a load on the API

_lock = Lock()
_asked_at, _known = float("-inf"), "healthy"


def state() -> str:
    """`healthy`, `unhealthy`, or `disabled` where Kubernetes is not used."""
    global _asked_at, _known
    if settings.POD_DRIVER != "kubernetes":
        return "disabled"
    with _lock:
        if time.monotonic() - _asked_at >= REMEMBERED_S:
            _known, _asked_at = _ask(), time.monotonic()
        return _known


def warnings() -> Iterator[str]:
    """A sentence for people, beginning with its symbol."""
    if state() == "unhealthy":
        yield "KUBERNETES_UNHEALTHY: the cluster does not answer; chats wait and wakes are queued."


def _ask() -> str:
    from routing import cluster  # only where Kubernetes is used (POD-55)

    try:
        cluster.ping()
    except DomainError:
        return "unhealthy"
    return "healthy"
