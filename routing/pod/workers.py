"""The processes that deliver messages and tend pods (POD-53): who is alive, and what a dead one leaves to others."""

import datetime as dt
import os
import uuid

from django.db import transaction

from routing import chat
from routing.models import Pod, Worker
from routing.pod import pod_moves, podstore, processes
from routing.pod.pod_states import State
from sessions_app import clock

HEARTBEAT_S = 5.0
STALE_AFTER_S = 15.0


def register() -> Worker:
    """Add this process to the workers."""
    at = clock.now()
    return Worker.objects.create(
        machine=processes.machine(), pid=os.getpid(), pid_start=processes.start_time(os.getpid()) or 0,
        started_at=at, heartbeat_at=at,
    )  # fmt: skip


def beat(worker_id: uuid.UUID) -> bool:
    """Say that this worker is alive; False if the others have given it up."""
    return Worker.objects.filter(pk=worker_id).update(heartbeat_at=clock.now()) == 1


def leave(worker_id: uuid.UUID) -> None:
    """Take this process off; it tends nothing any more."""
    Worker.objects.filter(pk=worker_id).delete()


def is_any_alive() -> bool:
    """Whether somebody can carry out a wake (POD-13)."""
    return any(not is_dead(worker) for worker in Worker.objects.filter(heartbeat_at__gt=_stale(clock.now())))


def is_dead(worker: Worker) -> bool:
    """Whether a worker is gone: its heartbeat is old, or its process is seen to be gone from this very machine."""
    if worker.heartbeat_at <= _stale(clock.now()):
        return True
    return worker.machine == processes.machine() and not processes.is_same(worker.pid, worker.pid_start)


def bury_dead(*, dry_run: bool = False) -> list[str]:
    """Take every dead worker's pods from it and forget it; the sessions that were taken (POD-50)."""
    freed: list[str] = []
    for worker in Worker.objects.all():
        if is_dead(worker) and not _is_this_process(worker):
            tended = list(worker.pods.values_list("pk", "session_id"))
            freed += [session_id for _, session_id in tended]
            if not dry_run:
                for pod_id, _ in tended:
                    hand_back(pod_id)
                worker.delete()
    return freed


def hand_back(pod_id: int, *, orderly: bool = False) -> None:
    """Take a pod from a worker that has stopped. A process of it is killed, its session wakes or sleeps.

    Its message is free where nobody can be at work on it: the process is gone, or the worker says so (`orderly`).
    Otherwise the lease has to run out.
    """
    with transaction.atomic():
        pod = podstore.lock_pod(pod_id)
        if pod.pid is not None and pod.worker is not None and pod.worker.machine == processes.machine():
            processes.kill_leftover(pod.pid, pod.pid_start or 0)
        if pod.pid is not None or orderly:
            chat.free_leases(pod)
        if pod.pid is not None:
            _rest(pod)
            pod_moves.change(pod, pid=None, pid_start=None, port=None, backend_since=None)
        pod_moves.change(pod, worker=None)


def _is_this_process(worker: Worker) -> bool:
    """A worker that was held up is not dead to itself, however old its heartbeat."""
    own = worker.pid == os.getpid() and worker.machine == processes.machine()
    return own and processes.is_same(worker.pid, worker.pid_start)


def _rest(pod: Pod) -> None:
    """A pod without a process: back to waking while something is pending, asleep otherwise."""
    pending = pod.unsettled
    if pod.state == State.DRAINING and not pending:
        pod_moves.move(pod, State.SLEEPING, reason="drained")
    elif pod.state == State.DRAINING:
        pod_moves.move(pod, State.RUNNING, reason="message_queued")
    if pod.state == State.RUNNING:
        pod_moves.move(pod, State.WAKING, reason="pod_lost", backend_since=None)
        if not pending:
            pod_moves.move(pod, State.SLEEPING, reason="sleep_requested", desired=Pod.Desired.ASLEEP)


def _stale(at: dt.datetime) -> dt.datetime:
    return at - dt.timedelta(seconds=STALE_AFTER_S)
