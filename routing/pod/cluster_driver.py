"""The driver `kubernetes` as clients' verbs see it (POD section 8)."""

import structlog

from routing import cluster
from routing.models import Pod
from routing.pod import cluster_api, workers
from routing.pod.drivers import Observed
from sessions_app.kinds import DomainError

log = structlog.get_logger(__name__)

prepare = cluster.prepare
discard = cluster.discard
close = cluster_api.close


def wake(pod: Pod) -> bool:
    """Ask for the replica at once; KEDA or a worker does it where this fails (POD-61)."""
    try:
        cluster.wake(pod.session_id, pod.session.user_id)
    except DomainError as error:
        log.warning("pod.wake_waits", session_id=pod.session_id, code=error.code)
        return False
    return workers.is_any_alive()


def remove(pod: Pod) -> bool:
    """Delete the pod's objects; the cluster ends what runs."""
    cluster.delete(pod.session_id)
    return True


def observe(pod: Pod) -> Observed:
    """The Deployment's ready replicas."""
    try:
        seen = cluster.look(pod.session_id)
    except DomainError:
        return Observed(replicas=None, error="unreachable")
    ready = seen.ready if seen else 0
    return Observed(replicas=ready, ready=ready >= 1)
