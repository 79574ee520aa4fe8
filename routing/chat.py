"""The durable chat queue (POD section 4): accept, claim, settle. The row is the truth; Redis only tells."""

import datetime as dt
import hashlib
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog
from django.conf import settings
from django.db import transaction

from routing import inbox, pods
from routing.errors import QueueFull
from routing.models import ChatMessage, Pod
from routing.pod import pod_events, pod_frames, pod_moves
from routing.pod.outcomes import Answered, Dead, NotHanded, Outcome, Retry
from routing.pod.pod_states import SERVING, State
from sessions_app import clock, context, faults
from sessions_app.access.auth import Caller
from sessions_app.errors import IdempotencyKeyReused, RedisUnavailable

RETRY_AFTER_S = (1, 2, 4, 8)  # POD-33
LEASE_MARGIN_S = 10  # POD-35: on top of what a pod may take

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that is committed; with `may_wait` its pod runs, nothing is before it, an answer may come at once."""

    message: ChatMessage
    may_wait: bool
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to hand a message to its pod, under a lease."""

    message: ChatMessage
    lease_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class NothingDue:
    """No message can be delivered now; `until` is when the next one may be, None when none waits."""

    until: dt.datetime | None = None


def accept(session_id: str, *, text: str, by: Caller, key: str | None = None) -> Accepted:
    """Queue a message for the session's pod and wake it (POD-16 to POD-20); committed when it returns.

    Raises SessionNotFound, PodNotFound, IdempotencyKeyReused, QueueFull, RecorderUnavailable.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()
    with transaction.atomic():
        pod = pods.lock_live(session_id, by=by)
        if before := _accepted_before(pod, by, key, digest):
            return before
        waiting = pod.pending().count()
        if waiting >= settings.CHAT_MAX_PENDING:
            raise QueueFull(f"{waiting} messages wait for this pod already.")
        may_wait = pod.state == State.RUNNING and not waiting
        message = _queue(pod, text=text, by=by, key=key, digest=digest if key else None)
        pods.rouse(pod, reason="message_queued", performer_id=message.performer_id)
        pod_events.append(
            pod.session, "chat.accepted", performer_id=message.performer_id,
            message_id=str(message.message_id), length=len(text),
        )  # fmt: skip
        transaction.on_commit(partial(pod_moves.signal, pod.pk, session_id, str(message.message_id)))
        faults.reach("chat.before_commit")
    faults.reach("chat.accepted")
    return Accepted(message, may_wait)


def claim(pod_id: int, *, worker_id: uuid.UUID) -> Delivery | NothingDue:
    """Lease the next message of a pod this worker tends (POD-35)."""
    at = clock.now()
    with transaction.atomic():
        pod = Pod.objects.select_for_update(no_key=True).filter(pk=pod_id, worker_id=worker_id).first()
        if pod is None or pod.state not in SERVING:
            return NothingDue()
        message = pod.pending().first()
        if message is None:
            return NothingDue()
        due = message.lease_until or message.next_attempt_at
        if due > at:
            return NothingDue(until=due)
        message.lease(worker_id, until=at + dt.timedelta(seconds=settings.POD_CHAT_TIMEOUT_S + LEASE_MARGIN_S))
    faults.reach("chat.claimed")
    _best_effort(inbox.take, pod.session_id, message)
    return Delivery(message, message.lease_id)


def settle(delivery: Delivery, outcome: Outcome) -> None:
    """Write down what became of an attempt (POD-33). A late one counts only while the message is unsettled (POD-35).

    Raises RecorderUnavailable: then nothing is written and the lease runs out.
    """
    faults.reach("chat.before_settle")
    with transaction.atomic():
        pod = pod_moves.lock(delivery.message.pod_id)
        message = ChatMessage.objects.get(pk=delivery.message.pk)
        if message.is_settled:
            return
        match outcome:
            case Answered():
                _answer(pod, message, outcome)
            case Dead():
                _bury(pod, message, outcome)
            case Retry() | NotHanded() if message.lease_id == delivery.lease_id:
                _retry(pod, message, outcome)
    faults.reach("chat.settled")
    act = inbox.drop if message.is_settled else inbox.put_back
    _best_effort(act, pod.session_id, message)
    if message.is_settled:
        log.info(
            "chat.delivered", session_id=pod.session_id, message_id=str(message.message_id), status=message.status,
            attempts=message.attempts, duration_ms=round((clock.now() - message.created_at).total_seconds() * 1000),
        )  # fmt: skip


def free_leases(pod: Pod) -> None:
    """Give back the message in flight of a locked pod whose worker has stopped: nobody waits for its outcome."""
    for message in pod.messages.filter(status=ChatMessage.Status.DELIVERING):
        message.give_back(at=clock.now())


def show_wake(pod: Pod) -> None:
    """Let KEDA see that the pod is being woken (POD-38)."""
    with suppress(RedisUnavailable):
        inbox.take(pod.session_id, inbox.wake_mark(pod.wake_generation))


def after(pod: Pod, *, cursor: int, limit: int) -> tuple[list[ChatMessage], bool]:
    """The messages whose cursor exceeds `cursor`, ascending, at most `limit`, and whether there are more (POD-21)."""
    found = list(pod.messages.filter(cursor__gt=cursor).order_by("cursor")[: limit + 1])
    return found[:limit], len(found) > limit


def position(message: ChatMessage) -> int:
    """How many messages of the session are not settled, this one included (POD-17)."""
    return ChatMessage.objects.pending().filter(pod_id=message.pod_id).count()


def counts(pod: Pod) -> dict[str, int]:
    """How many messages wait, are in flight, are dead (POD-24)."""
    statuses = list(pod.messages.exclude(status=ChatMessage.Status.ANSWERED).values_list("status", flat=True))
    in_flight, dead = statuses.count(ChatMessage.Status.DELIVERING), statuses.count(ChatMessage.Status.DEAD)
    return {"queue_length": len(statuses) - dead, "in_flight": in_flight, "dead_letters": dead}


def _accepted_before(pod: Pod, by: Caller, key: str | None, digest: str) -> Accepted | None:
    """What this key stands for already (POD-18). Raises IdempotencyKeyReused."""
    if key is None:
        return None
    message = pod.messages.filter(accepted_by=by.name, idempotency_key=key).first()
    if message is None:
        return None
    if message.idempotency_digest != digest:
        raise IdempotencyKeyReused
    return Accepted(message, may_wait=False, replayed=True)


def _queue(pod: Pod, *, text: str, by: Caller, key: str | None, digest: str | None) -> ChatMessage:
    at = clock.now()
    pod_moves.change(pod, last_seq=pod.last_seq + 1, last_cursor=pod.last_cursor + 1)
    return ChatMessage.objects.create(
        pod=pod, seq=pod.last_seq, cursor=pod.last_cursor, text=text, accepted_by=by.name, idempotency_key=key,
        performer_id=pod_events.performer_of(by, pod.session), idempotency_digest=digest, next_attempt_at=at,
        created_at=at, request_id=context.request_id.get(),
    )  # fmt: skip


def _answer(pod: Pod, message: ChatMessage, outcome: Answered) -> None:
    at = _note_work(pod)
    message.answer(outcome.response, at=at, cursor=pod_moves.next_cursor(pod))
    _write_down(pod, message, "chat.answered")


def _bury(pod: Pod, message: ChatMessage, outcome: Dead) -> None:
    at = _note_work(pod)
    cursor = pod_moves.next_cursor(pod)
    message.bury(outcome.code, outcome.detail, at=at, cursor=cursor, pod_status=outcome.pod_status)
    _write_down(pod, message, "chat.dead", reason=outcome.code)


def _retry(pod: Pod, message: ChatMessage, outcome: Retry | NotHanded) -> None:
    """Back to the queue, to be tried again later; or dead, when the pod failed too often."""
    if isinstance(outcome, NotHanded):
        message.take_back(at=clock.now())
        return
    message.failures += 1
    if message.failures >= settings.CHAT_MAX_ATTEMPTS:
        _bury(pod, message, Dead("POD_FAILED", outcome.detail, outcome.pod_status))
        return
    wait_s = RETRY_AFTER_S[min(message.failures, len(RETRY_AFTER_S)) - 1]
    if outcome.retry_after_s is not None:
        wait_s = outcome.retry_after_s
    message.give_back(at=clock.now() + dt.timedelta(seconds=wait_s))


def _note_work(pod: Pod) -> dt.datetime:
    at = clock.now()
    pod_moves.change(pod, last_work_at=at, last_activity_at=at)
    return at


def _write_down(pod: Pod, message: ChatMessage, kind: str, **members: str) -> None:
    pod_events.append(
        pod.session, kind, performer_id=pod_events.SYSTEM,
        message_id=str(message.message_id), attempts=message.attempts, **members,
    )  # fmt: skip
    pod.session.touch(message.settled_at)
    transaction.on_commit(partial(pod_frames.settled, pod.session_id, message))


def _best_effort(act: object, session_id: str, message: ChatMessage) -> None:
    """Bring the lists along; with Redis away they are repaired later (POD-37)."""
    try:
        act(session_id, str(message.message_id))  # type: ignore[operator]
    except RedisUnavailable:
        log.warning("chat.list_behind", session_id=session_id)
