"""Every write to a pod's state goes through here (POD-32): compare-and-set, transition row, event, then the telling."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
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

log = structlog.get_logger(__name__)


class Overtaken(Exception):
    """Another process changed the pod first; read it again."""


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


def bury_pending(pod: Pod) -> None:
    """Let every unsettled message of a locked pod die with its session (POD-27)."""
    at, cursor = clock.now(), pod.last_cursor
    for message in pod.pending():
        cursor += 1
        message.bury("SESSION_TERMINATED", "The session has ended.", at=at, cursor=cursor)
        transaction.on_commit(partial(pod_frames.buried, pod.session_id, message))
    change(pod, last_cursor=cursor, unsettled=0)


def signal(pod_id: int, session_id: str, element: str, *, for_chat: bool = False) -> None:
    """Push to the session's list and let the workers look; `for_chat` there is a message and nothing else.

    Redis being away only delays: the lists are repaired and the workers look at the rows (POD-37).
    """
    with _best_effort(session_id):
        inbox.push(session_id, element, pod_id=pod_id, for_chat=for_chat)


def _write_down(pod: Pod, source: str | None, performer_id: str) -> None:
    PodTransition.objects.create(pod=pod, from_state=source, to_state=pod.state, reason=pod.reason, at=pod.since)
    if kind := pod_events.BY_STATE.get(State(pod.state)):
        pod_events.append(pod.session, kind, performer_id=performer_id, reason=pod.reason)
    if source is None:
        return
    transaction.on_commit(partial(_tell, pod.pk, pod.session_id, pod.state, inbox.wake_mark(pod.wake_generation)))
    transaction.on_commit(partial(pod_frames.moved, pod.session_id, source, pod.state, pod.reason, pod.since))


def _tell(pod_id: int, session_id: str, state: str, mark: str) -> None:
    if state == State.WAKING:
        signal(pod_id, session_id, mark)
        return
    if state == State.SLEEPING:
        with suppress(RedisUnavailable):
            inbox.drop(session_id, mark)  # KEDA would take it for a wake
    with _best_effort(session_id):
        inbox.ring(session_id)


@contextmanager
def _best_effort(session_id: str) -> Iterator[None]:
    try:
        yield
    except RedisUnavailable:
        log.warning("pod.not_signalled", session_id=session_id)
