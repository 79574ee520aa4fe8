"""Every write to a pod's state goes through here (POD-32): compare-and-set, transition row, event, then the telling."""

from functools import partial
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F

from routing import inbox
from routing.models import Pod, PodTransition
from routing.pod import pod_events, pod_frames, pod_states
from routing.pod.pod_events import SYSTEM
from routing.pod.pod_states import State
from sessions_app import clock
from sessions_app.errors import RedisUnavailable
from sessions_app.models import Session

log = structlog.get_logger(__name__)


class Overtaken(Exception):
    """Another process changed the pod first; read it again."""


def lock(pod_id: int) -> Pod:
    """The pod with its session, both locked until the transaction ends, the session first as everywhere (SES-44)."""
    session = Session.objects.lock(Pod.objects.values_list("session_id", flat=True).get(pk=pod_id))
    pod = Pod.objects.select_for_update(no_key=True).get(pk=pod_id)
    pod.session = session
    return pod


def begin(pod: Pod, *, performer_id: str) -> None:
    """Write a new pod's row and its first transition; the session is locked."""
    pod.save(force_insert=True)
    _write_down(pod, None, performer_id)


def move(pod: Pod, to: str, *, reason: str, performer_id: str = SYSTEM, **changes: Any) -> None:
    """Change the state of a pod whose row and session are locked; `changes` are other columns, set with it.

    Raises Overtaken, and RecorderUnavailable when the change could not be recorded.
    """
    source = pod.state
    if not pod_states.is_possible(source, to, reason):
        raise Overtaken(f"{source} to {to} for {reason}")
    at = clock.now()
    changes |= {"state": to, "reason": reason, "since": at}
    if to == State.WAKING:
        # What runs the pod was given up, or is asked to stop: the backend has to be asked anew.
        changes = {"backend_since": None, "woken_at": at, "wake_generation": pod.generation + 1, **changes}
    before = Pod.objects.filter(pk=pod.pk, state=source, generation=pod.generation)
    if before.update(generation=F("generation") + 1, **changes) != 1:
        raise Overtaken(f"{source} at generation {pod.generation}")
    pod.generation += 1
    for name, value in changes.items():
        setattr(pod, name, value)
    _write_down(pod, source, performer_id)


def change(pod: Pod, **changes: Any) -> None:
    """Set other columns of a locked pod."""
    Pod.objects.filter(pk=pod.pk).update(**changes)
    for name, value in changes.items():
        setattr(pod, name, value)


def next_cursor(pod: Pod) -> int:
    """The next value of the session's cursor, under the pod's row lock (POD-21)."""
    change(pod, last_cursor=pod.last_cursor + 1)
    return pod.last_cursor


def bury_pending(pod: Pod) -> None:
    """Let every unsettled message of a locked pod die with its session (POD-27)."""
    at = clock.now()
    for message in pod.pending():
        message.bury("SESSION_TERMINATED", "The session has ended.", at=at, cursor=next_cursor(pod))
        transaction.on_commit(partial(pod_frames.settled, pod.session_id, message))


def signal(pod_id: int, session_id: str, *elements: str) -> None:
    """Push to the session's list, unless the pod is being taken down: its lists must stay deleted (POD-27).

    Redis being away only delays: the lists are repaired and the workers look at the rows (POD-37).
    """
    with transaction.atomic():
        pod = Pod.objects.select_for_update(no_key=True).standing().filter(pk=pod_id).first()
        if pod is not None:
            try:
                inbox.push(session_id, *elements)
            except RedisUnavailable:
                log.warning("pod.not_signalled", session_id=session_id)


def _write_down(pod: Pod, source: str | None, performer_id: str) -> None:
    PodTransition.objects.create(pod=pod, from_state=source, to_state=pod.state, reason=pod.reason, at=pod.since)
    if kind := pod_events.BY_STATE.get(State(pod.state)):
        pod_events.append(pod.session, kind, performer_id=performer_id, reason=pod.reason)
    if source is None:
        return
    marks = [inbox.wake_mark(pod.generation)] if pod.state == State.WAKING else []
    transaction.on_commit(partial(_tell, pod.pk, pod.session_id, marks))
    transaction.on_commit(partial(pod_frames.moved, pod.session_id, source, pod.state, pod.reason, pod.since))


def _tell(pod_id: int, session_id: str, marks: list[str]) -> None:
    if marks:
        signal(pod_id, session_id, *marks)
        return
    try:
        inbox.ring(session_id)
        inbox.tell(session_id)
    except RedisUnavailable:
        log.warning("pod.not_signalled", session_id=session_id)
