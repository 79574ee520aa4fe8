"""What a worker does to the rows of the pods it tends (POD-32, POD-49 to POD-53, POD-62)."""

import datetime as dt
import uuid
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q

from routing.models import ChatMessage, Pod
from routing.pod import pod_moves, podstore
from routing.pod.pod_states import State
from sessions_app import clock

FAILED_RETRY_S = (5, 15, 60, 300)  # POD-32: with messages pending
LOOK_AGAIN_S = 0.2
_SLOTS_LOCK = 0x706F6473  # any number that nothing else locks


def candidates(worker_id: uuid.UUID) -> list[Pod]:
    """Pods this worker should look at: its own that are due, and those nobody tends."""
    at = clock.now()
    queued, leased = ChatMessage.Status.QUEUED, ChatMessage.Status.DELIVERING
    is_due = Q(status=queued, next_attempt_at__lte=at) | Q(status=leased, lease_until__lte=at)
    due = Exists(ChatMessage.objects.filter(is_due, pod=OuterRef("pk")))
    restless = Q(state__in=[State.WAKING, State.DRAINING, State.TERMINATING])
    left_behind = Q(state__in=[State.SLEEPING, State.FAILED], backend_since__isnull=False)
    free = restless | left_behind | Q(state=State.RUNNING) | Q(state=State.FAILED, retry_at__lte=at)
    own = ~Q(state=State.RUNNING) | due
    pods = Pod.objects.present().filter(Q(worker__isnull=True) & free | Q(worker_id=worker_id) & own)
    return _with_room(list(pods.select_related("session").order_by("since", "pk")))


def take(pod_id: int, *, worker_id: uuid.UUID) -> Pod | None:
    """The pod, from now on tended by this worker; None if another tends it or there is no room for its process yet."""
    with transaction.atomic():
        pod = Pod.objects.select_related("session").filter(pk=pod_id).first()
        if pod is None or pod.worker_id == worker_id:
            return pod
        if settings.POD_DRIVER == "local" and pod.state == State.WAKING and not _has_slot(pod):
            return None
        changes = {"worker_id": worker_id}
        if Pod.objects.filter(pk=pod_id, worker__isnull=True).update(**changes) != 1:
            return None
    return Pod.objects.select_related("session").get(pk=pod_id)


def asked(pod_id: int) -> None:
    """Note that the backend was asked to run the pod: its wake timeout counts from here."""
    Pod.objects.filter(pk=pod_id, backend_since__isnull=True).update(backend_since=clock.now())


def started(pod_id: int, *, pid: int, pid_start: int, port: int) -> None:
    """Note the pod's process, so that whoever comes after this worker finds it."""
    Pod.objects.filter(pk=pod_id).update(pid=pid, pid_start=pid_start, port=port)


def stopped(pod_id: int, *, release: bool = False) -> None:
    """Note that nothing runs the pod any more; with `release` nobody tends it either."""
    changes = {"pid": None, "pid_start": None, "port": None, "backend_since": None}
    Pod.objects.filter(pk=pod_id).update(**changes, **({"worker": None} if release else {}))


def release(pod_id: int) -> None:
    """Tend the pod no more."""
    Pod.objects.filter(pk=pod_id).update(worker=None)


def ready(pod_id: int) -> bool:
    """Waking to running; whether it was waking."""
    return _move(pod_id, State.WAKING, State.RUNNING, "pod_ready", failures=0, retry_at=None, last_work_at=clock.now())


def failed(pod_id: int, *, reason: str, output: str = "") -> bool:
    """Waking to failed, to be tried again later while messages wait (POD-32)."""
    with transaction.atomic():
        pod = podstore.lock_pod(pod_id)
        if pod.state != State.WAKING:
            return False
        wait_s = FAILED_RETRY_S[min(pod.failures, len(FAILED_RETRY_S) - 1)]
        retry_at = clock.now() + dt.timedelta(seconds=wait_s)
        pod_moves.move(
            pod, State.FAILED, reason=reason, failures=pod.failures + 1, retry_at=retry_at, last_output=output
        )
        return True


def retry(pod_id: int) -> bool:
    """Failed to waking, where messages wait and the time has come."""
    with transaction.atomic():
        pod = podstore.lock_pod(pod_id)
        if pod.state != State.FAILED or pod.retry_at is None or not pod.unsettled:
            pod_moves.change(pod, retry_at=None)
            return False
        if pod.retry_at > clock.now():
            return False
        pod_moves.move(pod, State.WAKING, reason="message_queued")
        return True


def lost(pod_id: int) -> bool:
    """The process of a serving pod is gone: to waking, or to sleep if it was draining and has nothing left."""
    with transaction.atomic():
        pod = podstore.lock_pod(pod_id)
        if pod.state == State.DRAINING and not pod.unsettled:
            pod_moves.move(pod, State.SLEEPING, reason="drained")
            return True
        if pod.state == State.DRAINING:
            pod_moves.move(pod, State.RUNNING, reason="message_queued")
        if pod.state == State.RUNNING:
            pod_moves.move(pod, State.WAKING, reason="pod_lost")
            return True
        return False


def at_zero(pod_id: int) -> bool:
    """KEDA took the replicas away: asleep if nothing is pending, else awake again (POD-62)."""
    with transaction.atomic():
        pod = podstore.lock_pod(pod_id)
        if pod.state == State.RUNNING and not pod.unsettled:
            desired = Pod.Desired.ASLEEP
            pod_moves.move(pod, State.SLEEPING, reason="scaled_to_zero", desired=desired, backend_since=None)
            return True
    return lost(pod_id)


def asleep() -> set[str]:
    """The sessions whose pods sleep, their replicas taken away."""
    pods = Pod.objects.filter(state=State.SLEEPING, backend_since__isnull=True)
    return set(pods.values_list("session_id", flat=True))


def scaled_up(session_id: str) -> bool:
    """KEDA raised the replicas of a sleeping pod."""
    with transaction.atomic():
        pod = Pod.objects.filter(session_id=session_id, state=State.SLEEPING).first()
        pod = pod and podstore.lock_pod(pod.pk)
        if pod is None or pod.state != State.SLEEPING:
            return False
        at = clock.now()
        wished: dict[str, Any] = {"desired": Pod.Desired.AWAKE, "last_work_at": at, "last_activity_at": at}
        pod_moves.move(pod, State.WAKING, reason="scaled_up", backend_since=at, **wished)
        return True


def settle_down(pod_id: int) -> dt.datetime | None:
    """Put a serving pod without work on its way to sleep, if that is wished or it has been idle long enough.

    Returns when to look again: at a message's next attempt, or when the idle time ends; None when nothing is in sight.
    """
    with transaction.atomic():
        pod = podstore.lock_pod(pod_id)
        first = pod.pending().first() if pod.unsettled else None
        if first is not None:
            return first.lease_until or first.next_attempt_at
        if pod.state == State.DRAINING:
            pod_moves.move(pod, State.SLEEPING, reason="drained", desired=Pod.Desired.ASLEEP)
        if pod.state != State.RUNNING:
            return clock.now()
        idle_at = pod.last_work_at + dt.timedelta(seconds=settings.POD_IDLE_SLEEP_S)
        if pod.desired == Pod.Desired.ASLEEP:
            pod_moves.move(pod, State.DRAINING, reason="sleep_requested")
        elif settings.POD_DRIVER == "local" and idle_at <= clock.now():
            pod_moves.move(pod, State.DRAINING, reason="idle", desired=Pod.Desired.ASLEEP)
        else:
            return idle_at if settings.POD_DRIVER == "local" else None
    return clock.now()


def _move(pod_id: int, source: str, target: str, reason: str, **changes: Any) -> bool:
    with transaction.atomic():
        pod = podstore.lock_pod(pod_id)
        if pod.state != source:
            return False
        pod_moves.move(pod, target, reason=reason, **changes)
        return True


def _with_room(pods: list[Pod]) -> list[Pod]:
    """The pods without those that wait for a process to end before theirs may start (POD-52)."""
    waiting = [pod for pod in pods if pod.state == State.WAKING and pod.worker_id is None]
    if settings.POD_DRIVER != "local" or not waiting:
        return pods
    free = settings.LOCAL_PODS_MAX - Pod.objects.filter(worker__isnull=False).count()
    too_many = {pod.pk for pod in waiting[max(0, free) :]}
    return [pod for pod in pods if pod.pk not in too_many]


def _has_slot(pod: Pod) -> bool:
    """Whether one more process may run and this pod is next in line (POD-52); holds until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_SLOTS_LOCK])
    free = settings.LOCAL_PODS_MAX - Pod.objects.filter(worker__isnull=False).count()
    if free <= 0:
        return False
    waiting = Pod.objects.filter(state=State.WAKING, worker__isnull=True).order_by("since", "pk")
    return pod.pk in waiting.values_list("pk", flat=True)[:free]
