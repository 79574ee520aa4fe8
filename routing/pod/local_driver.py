"""The driver `local` as clients' verbs see it (POD section 7): the processes themselves are a worker's."""

from contextlib import suppress

from routing import inbox
from routing.models import Pod
from routing.pod import processes, workers
from routing.pod.drivers import Observed
from routing.pod.pod_states import SERVING
from sessions_app.errors import RedisUnavailable


def prepare(session_id: str, user_id: str) -> bool:
    """A sleeping pod is nothing here."""
    return False


def discard(session_id: str) -> None:
    """Nothing was made."""


def wake(pod: Pod) -> bool:
    """The workers were rung with the commit; whether one is alive to hear it."""
    return workers.is_any_alive()


def remove(pod: Pod) -> bool:
    """Whether the process is gone, and what it left on disk with it; a worker that still has it is asked to stop it."""
    worker = Pod.objects.select_related("worker").get(pk=pod.pk).worker
    if worker is not None and workers.is_dead(worker):
        workers.hand_back(pod.pk)
    elif worker is not None:
        with suppress(RedisUnavailable):  # it looks at the row by itself
            inbox.ring(pod.session_id)
        return False
    processes.forget(pod.session_id)
    return True


def observe(pod: Pod) -> Observed:
    """The process as it is seen from here, or as its worker last wrote it down."""
    if pod.pid is None or pod.worker is None:
        return Observed(replicas=0)
    if pod.worker.machine == processes.machine():
        alive = processes.is_same(pod.pid, pod.pid_start or 0)
    elif workers.is_dead(pod.worker):
        return Observed(replicas=None, error="unreachable")
    else:
        alive = True
    return Observed(replicas=int(alive), ready=alive and pod.state in SERVING)


def close() -> None:
    """Nothing is kept open: the worker owns the processes."""
