"""How a pod ends (POD-26 to POD-29, POD-42, POD-43): by DELETE, by expiry, or because its session ended otherwise."""

import structlog
from django.db import transaction

from routing import inbox
from routing.models import Pod
from routing.pod import drivers, pod_events, pod_moves
from routing.pod.pod_events import SYSTEM
from routing.pod.pod_states import State
from sessions_app import clock, sessions
from sessions_app.access.auth import Caller
from sessions_app.models import Session

log = structlog.get_logger(__name__)


def end(session_id: str, *, by: Caller) -> bool:
    """Close the session and take its pod down (POD-26, POD-27); whether all of it is done.

    Raises SessionNotFound, RecorderUnavailable, RedisUnavailable and the Cluster errors; what was begun is then
    finished by a repeated call or by a worker (POD-28).
    """
    session = sessions.visible(session_id, by=by)
    begin_end(
        session_id,
        reason="deleted",
        end_reason=Session.EndReason.DELETED,
        performer_id=SYSTEM if by.service else pod_events.performer_of(by, session),
        closed_by=by.name,
    )
    return finish_end(session_id)


def begin_end(
    session_id: str, *, reason: str, end_reason: str | None, performer_id: str = SYSTEM, closed_by: str = SYSTEM
) -> None:
    """Step 1 of POD-27: the pod terminating, its messages dead, the session closed unless `end_reason` is None."""
    with transaction.atomic():
        session = Session.objects.lock(session_id)
        pod = Pod.objects.select_for_update(no_key=True).standing().filter(session=session).first()
        if pod is not None:
            pod.session = session
            if reason == "expired" and not pod.is_expired(clock.now()):
                return  # a message came first
            pod_moves.bury_pending(pod)
            pod_moves.move(pod, State.TERMINATING, reason=reason)
        if end_reason is not None and session.is_active:
            sessions.close(session, performer_id=performer_id, closed_by=closed_by, reason=end_reason)


def finish_end(session_id: str) -> bool:
    """Steps 2 to 4 of POD-27 for a pod that is terminating; False while its backend is not gone. Idempotent.

    Raises RedisUnavailable and the Cluster errors.
    """
    pod = Pod.objects.filter(session_id=session_id, state=State.TERMINATING).first()
    if pod is not None and not drivers.current().remove(pod):
        return False
    inbox.forget(session_id, pod_id=None if pod is None else pod.pk)
    with transaction.atomic():
        session = Session.objects.lock(session_id)
        pod = Pod.objects.select_for_update(no_key=True).filter(session=session, state=State.TERMINATING).first()
        if pod is not None:
            pod.session = session
            took_s = (clock.now() - pod.since).total_seconds()
            pod_moves.move(pod, State.TERMINATED, reason=pod.reason, backend_since=None)
            log.info("pod.removed", session_id=session_id, reason=pod.reason, duration_ms=round(took_s * 1000))
    return True


def expire(session_id: str) -> bool:
    """End what the session's pod has outlived (POD-43): the session create opened, or only the pod it attached.

    Whether there was anything to end and all of it is done. Raises as `finish_end`, and RecorderUnavailable.
    """
    pod = Pod.objects.expired(clock.now()).filter(session_id=session_id).first()
    if pod is None:
        return False
    begin_end(session_id, reason="expired", end_reason=None if pod.attached else Session.EndReason.TIMEOUT)
    return finish_end(session_id)
