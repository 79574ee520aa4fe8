"""A pod's life as clients steer it (POD sections 2 and 3): create, wake, sleep. Check, write, append, tell."""

import datetime as dt
import hashlib
import time
from dataclasses import dataclass

import structlog
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, Max

from routing.errors import PodExists, PodNotFound
from routing.models import Pod, PodTransition
from routing.pod import drivers, pod_endings, pod_events, pod_moves, pod_states, podstore
from routing.pod.pod_states import ENDING, State
from sessions_app import clock, ids, sessions
from sessions_app.access.auth import Caller
from sessions_app.errors import SessionAlreadyClosed, SessionNotFound
from sessions_app.models import Session
from sessions_app.state.state_errors import IdempotencyKeyReused

VIA = "pod"  # Session.opened_via of what create opens
TRANSITIONS_SHOWN = 20
KEY_LIFE = dt.timedelta(hours=24)  # POD-12

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Created:
    """The pod create answers with; `replayed` when an earlier request made it."""

    pod: Pod
    replayed: bool = False


def create(*, user_id: str, by: Caller, session_id: str | None = None, key: str | None = None) -> Created:
    """Give a session, new or named, a pod that sleeps (POD-10, POD-11).

    Raises UserNotAllowed, SessionNotFound, SessionAlreadyClosed, PodExists, IdempotencyKeyReused, RecorderUnavailable
    and the Cluster errors.
    """
    began = time.monotonic()
    by.must_act_for(user_id)
    digest = hashlib.sha256(f"{user_id}\n{session_id or ''}".encode()).hexdigest()
    if before := _created_before(by, key, digest):
        return before
    if session_id is not None:
        pod_endings.expire(session_id)
        try:
            _must_have_room(session_id, user_id)
        except PodExists:
            if before := _created_before(by, key, digest):  # a request with this key was faster
                return before
            raise
    target = session_id or ids.new_session_id()
    driver = drivers.current()
    made = driver.prepare(target, user_id)
    created = None
    try:
        created = _record(target, user_id=user_id, by=by, named=session_id is not None, key=key, digest=digest)
    finally:
        if made and (created is None or created.replayed):
            driver.discard(target)
    took_ms = round((time.monotonic() - began) * 1000)
    log.info("pod.created", session_id=created.pod.session_id, duration_ms=took_ms)
    return created


def wake(session_id: str, *, by: Caller) -> str:
    """Wish the pod awake; `waking`, `running`, or `queued` if nothing can carry the wish out now (POD-13).

    Raises SessionNotFound, PodNotFound, RecorderUnavailable.
    """
    with transaction.atomic():
        pod, at = lock_live(session_id, by=by), clock.now()
        pod_moves.change(pod, desired=Pod.Desired.AWAKE, last_work_at=at, last_activity_at=at)
        rouse(pod, reason="wake_requested", performer_id=pod_events.performer_of(by, pod.session))
        pod.session.touch(at)
    if pod.state == State.RUNNING:
        return "running"
    return "waking" if drivers.current().wake(pod) else "queued"


def sleep(session_id: str, *, by: Caller) -> str:
    """Wish the pod asleep once it has delivered what was accepted (POD-14, POD-15); returns its state.

    Raises SessionNotFound, PodNotFound, RecorderUnavailable.
    """
    with transaction.atomic():
        pod = lock_live(session_id, by=by)
        lull(pod, performer_id=pod_events.performer_of(by, pod.session))
    return pod.state  # what runs it is stopped by its worker: a stop from here might overtake a later wake


def live(session_id: str, *, by: Caller) -> Pod:
    """The pod of a live session, unlocked, for reading. Raises SessionNotFound, PodNotFound (POD-75)."""
    session = sessions.visible(session_id, by=by)
    pod = Pod.objects.present().filter(session=session).first()
    return _must_be_live(session, pod)


def listed(*, by: Caller, user_id: str | None, status: str | None, limit: int, offset: int) -> tuple[int, list[Pod]]:
    """How many live sessions match, and one page of them, newest first (POD-30)."""
    found = Pod.objects.live(clock.now()).select_related("session").order_by("-created_at", "-pk")
    if not by.acts_for_anyone:
        found = found.filter(session__user_id=by.user_id)
    if user_id is not None:
        found = found.filter(session__user_id=user_id)
    if status is not None:
        found = found.filter(state=status)
    return found.count(), list(found[offset : offset + limit])


def newest_transitions(pod: Pod) -> list[PodTransition]:
    """The newest changes of state, newest first, at most 20 (POD-25)."""
    return list(pod.transitions.order_by("-pk")[:TRANSITIONS_SHOWN])


def counts() -> dict[str, int]:
    """The live sessions by what their pods do (POD-31)."""
    states = Pod.objects.live(clock.now()).values_list("state").annotate(number=Count("pk"))
    by_state = dict(states.order_by())
    total, asleep, failed = sum(by_state.values()), by_state.get("sleeping", 0), by_state.get("failed", 0)
    return {
        "total_sessions": total,
        "active_sessions": total - asleep - failed,
        "sleeping_sessions": asleep,
        "failed_sessions": failed,
    }


def lock_live(session_id: str, *, by: Caller) -> Pod:
    """The pod of a live session, session and pod locked until the transaction ends. Raises as `live`."""
    pod = podstore.lock_present(session_id)
    if pod is None:
        return _must_be_live(sessions.visible(session_id, by=by), None)
    if not by.may_act_for(pod.session.user_id):
        raise SessionNotFound
    return _must_be_live(pod.session, pod)


def rouse(pod: Pod, *, reason: str, performer_id: str) -> None:
    """Wake a locked pod that sleeps, keep one that drains (POD-15); others are awake or on their way."""
    if pod_states.wakes(pod.state):
        pod_moves.move(pod, State.WAKING, reason=reason, performer_id=performer_id)
    elif pod.state == State.DRAINING:
        pod_moves.move(pod, State.RUNNING, reason=reason, performer_id=performer_id)


def lull(pod: Pod, *, performer_id: str) -> None:
    """Make a locked pod wished asleep; it sleeps at once where there is nothing to deliver (POD-32)."""
    at = clock.now()
    wished = {"desired": Pod.Desired.ASLEEP, "last_activity_at": at}
    if pod.state == State.RUNNING:
        pod_moves.move(pod, State.DRAINING, reason="sleep_requested", performer_id=performer_id, **wished)
    elif pod_states.is_possible(pod.state, State.SLEEPING, "sleep_requested") and not pod.unsettled:
        pod_moves.move(pod, State.SLEEPING, reason="sleep_requested", performer_id=performer_id, **wished)
    else:
        pod_moves.change(pod, **wished)
    pod.session.touch(at)


def _must_be_live(session: Session, pod: Pod | None) -> Pod:
    if not session.is_active:
        raise SessionNotFound
    if pod is None:
        raise PodNotFound
    pod.session = session
    if pod.state in ENDING or pod.is_expired(clock.now()):
        raise PodNotFound if pod.attached else SessionNotFound
    return pod


def _created_before(by: Caller, key: str | None, digest: str) -> Created | None:
    """What this key made within its life. Raises IdempotencyKeyReused."""
    if key is None:
        return None
    alive = Pod.objects.filter(created_by=by.name, idempotency_key=key, created_at__gt=clock.now() - KEY_LIFE)
    pod = alive.select_related("session").first()
    if pod is not None and pod.idempotency_digest != digest:
        raise IdempotencyKeyReused
    return Created(pod, replayed=True) if pod else None


def _must_have_room(session_id: str, user_id: str) -> None:
    """Raises SessionNotFound, SessionAlreadyClosed, PodExists."""
    session = Session.objects.filter(session_id=session_id).first()
    if session is None and ids.is_canonical_uuid(session_id):
        return
    if session is None or session.user_id != user_id:
        raise SessionNotFound
    if not session.is_active:
        raise SessionAlreadyClosed
    if Pod.objects.present().filter(session=session).exists():
        raise PodExists


def _record(target: str, *, user_id: str, by: Caller, named: bool, key: str | None, digest: str) -> Created:
    """The rows and lines of a new pod, all or none."""
    with transaction.atomic():
        if key is not None:
            _claim_key(by, key)
            if before := _created_before(by, key, digest):
                return before
        session, attached = _opened_or_joined(target, user_id=user_id, by=by, named=named)
        at = clock.now()
        numbers = Pod.objects.filter(session=session).aggregate(seq=Max("last_seq"), cursor=Max("last_cursor"))
        pod = Pod(
            session=session, attached=attached, since=at, created_at=at, last_activity_at=at, last_work_at=at,
            last_seq=numbers["seq"] or 0, last_cursor=numbers["cursor"] or 0, created_by=by.name,
            idempotency_key=key, idempotency_digest=digest if key else None,
        )  # fmt: skip
        pod_moves.begin(pod, performer_id=pod_events.performer_of(by, session))
        session.touch(at)
    return Created(pod)


def _claim_key(by: Caller, key: str) -> None:
    """Let requests with one key go one after the other, and free the key where its day is over."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"pod {by.name} {key}"])
    old = Pod.objects.filter(created_by=by.name, idempotency_key=key, created_at__lte=clock.now() - KEY_LIFE)
    old.update(idempotency_key=None, idempotency_digest=None)


def _opened_or_joined(target: str, *, user_id: str, by: Caller, named: bool) -> tuple[Session, bool]:
    """The session, locked, and whether it was there before."""
    if not Session.objects.filter(session_id=target).exists():
        try:
            performer_id = user_id if by.is_anonymous else None
            opened = sessions.open_implicitly(
                user_id=user_id, by=by, via=VIA, session_id=target, performer_id=performer_id
            )
            return opened, False
        except IntegrityError:
            if not named:
                raise
    session = Session.objects.lock(target)
    _must_have_room(target, user_id)
    return session, True
