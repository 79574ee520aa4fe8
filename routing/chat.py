"""The durable chat queue (POD section 4): accept, claim, settle. The row is the truth; Redis only tells."""

import datetime as dt
import hashlib
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog
from django.conf import settings
from django.db import transaction

from routing import inbox, pods
from routing.errors import QueueFull
from routing.models import ChatMessage, Pod
from routing.pod import chatstore, pod_events, pod_frames, pod_moves, podstore
from routing.pod.chatstore import Claimed
from routing.pod.outcomes import Answered, Dead, NotHanded, Outcome, Retry
from routing.pod.pod_states import State
from sessions_app import clock, context, faults
from sessions_app.access.auth import Caller
from sessions_app.errors import DatabaseUnavailable, RedisUnavailable
from sessions_app.state.state_errors import IdempotencyKeyReused

RETRY_AFTER_S = (1, 2, 4, 8)  # POD-33
LEASE_MARGIN_S = 10  # POD-35: on top of what a pod may take

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that is committed; with `may_wait` its pod runs, nothing is before it, an answer may come at once.

    `position` counts the session's messages without an outcome, this one included (POD-17).
    """

    message: ChatMessage
    position: int
    may_wait: bool = False
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to hand a message to its pod, under a lease."""

    message: Claimed
    lease_id: uuid.UUID
    lease_until: dt.datetime


@dataclass(frozen=True, slots=True)
class NothingDue:
    """No message can be delivered now; `until` is when the next one may be, None when none waits.

    `is_calm`: the pod runs and is wished to, so there is nothing else to do for it either.
    """

    until: dt.datetime | None = None
    is_calm: bool = False


def accept(session_id: str, *, text: str, by: Caller, key: str | None = None) -> Accepted:
    """Queue a message for the session's pod and wake it (POD-16 to POD-20); committed when it returns.

    The commit of one that `may_wait` need not be on the disk yet: that of its outcome is, which comes before the answer
    to the client. Who answers without an outcome calls `keep` first.

    Raises SessionNotFound, PodNotFound, IdempotencyKeyReused, QueueFull, RecorderUnavailable.
    """
    digest = hashlib.sha256(text.encode()).hexdigest() if key else None
    with transaction.atomic():
        pod = pods.lock_live(session_id, by=by)
        if before := _accepted_before(pod, by, key, digest):
            return before
        if pod.unsettled >= settings.CHAT_MAX_PENDING:
            raise QueueFull(f"{pod.unsettled} messages wait for this pod already.")
        may_wait = pod.state == State.RUNNING and not pod.unsettled
        performer_id = pod_events.performer_of(by, pod.session)
        pods.rouse(pod, reason="message_queued", performer_id=performer_id)
        message = _recorded(pod, text=text, by=by, performer_id=performer_id, key=key, digest=digest)
        transaction.on_commit(partial(faults.reach, "chat.committed"))
        signal = partial(pod_moves.signal, pod.pk, session_id, str(message.message_id), for_chat=may_wait)
        transaction.on_commit(signal)
        faults.reach("chat.before_commit")
        chatstore.queue(pod.session, message, later=may_wait)
    faults.reach("chat.accepted")
    return Accepted(message, position=pod.unsettled, may_wait=may_wait)


def claim(pod_id: int, *, session_id: str, worker_id: uuid.UUID) -> Delivery | NothingDue:
    """Lease the next message of a pod this worker tends (POD-35)."""
    at, lease_id = clock.now(), uuid.uuid4()
    until = at + dt.timedelta(seconds=settings.POD_CHAT_TIMEOUT_S + LEASE_MARGIN_S)
    claimed = chatstore.claim(pod_id, worker_id=worker_id, lease_id=lease_id, at=at, until=until)
    if not isinstance(claimed, Claimed):
        return NothingDue(until=claimed.due, is_calm=claimed.is_calm)
    faults.reach("chat.claimed")
    _best_effort(inbox.take, session_id, claimed.message_id)
    return Delivery(claimed, lease_id, until)


def settle(delivery: Delivery, outcome: Outcome) -> bool:
    """Write down what became of an attempt (POD-33). A late one counts only while the message is unsettled (POD-35).

    Whether the pod now has nothing else to do: no message, no wish but to run.
    Raises RecorderUnavailable: then nothing is written and the lease runs out.
    """
    faults.reach("chat.before_settle")
    with transaction.atomic():
        message = podstore.lock_message(delivery.message.message_id)
        if message is None:
            log.warning("chat.forgotten", message_id=str(delivery.message.message_id))
            return False
        if message.is_settled:
            return False
        match outcome:
            case Answered():
                _settle(message, status=ChatMessage.Status.ANSWERED, response=outcome.response)
            case Dead():
                _bury(message, outcome)
            case Retry() | NotHanded() if message.lease_id == delivery.lease_id:
                _retry(message, outcome)
    faults.reach("chat.settled")
    if not message.is_settled:
        _best_effort(inbox.put_back, message.pod.session_id, message.pk)
    else:
        pod_frames.settled(message.pod.session_id, message)
        log.info(
            "chat.delivered", session_id=message.pod.session_id, message_id=str(message.pk), status=message.status,
            attempts=message.attempts, duration_ms=round((clock.now() - message.created_at).total_seconds() * 1000),
        )  # fmt: skip
    pod = message.pod
    return not pod.unsettled and (pod.state, pod.desired) == (State.RUNNING, Pod.Desired.AWAKE)


def again(message: ChatMessage) -> ChatMessage:
    """The message as it is now. Raises DatabaseUnavailable when a crash of PostgreSQL has forgotten it."""
    try:
        return podstore.read_message(message.pk)
    except ChatMessage.DoesNotExist as error:
        raise DatabaseUnavailable(retry_after=1) from error


def keep() -> None:
    """From now on what was accepted survives a crash of PostgreSQL, too."""
    chatstore.keep()


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
    if not all(message.is_settled for message in found):
        keep()  # a cursor that was shown is never given to another message
    return found[:limit], len(found) > limit


def counts(pod: Pod) -> dict[str, int]:
    """How many messages wait, are in flight, are dead (POD-24)."""
    statuses = list(pod.messages.exclude(status=ChatMessage.Status.ANSWERED).values_list("status", flat=True))
    in_flight, dead = statuses.count(ChatMessage.Status.DELIVERING), statuses.count(ChatMessage.Status.DEAD)
    return {"queue_length": len(statuses) - dead, "in_flight": in_flight, "dead_letters": dead}


def _accepted_before(pod: Pod, by: Caller, key: str | None, digest: str | None) -> Accepted | None:
    """What this key stands for already (POD-18). Raises IdempotencyKeyReused."""
    if key is None:
        return None
    message = pod.messages.filter(accepted_by=by.name, idempotency_key=key).first()
    if message is None:
        return None
    if message.idempotency_digest != digest:
        raise IdempotencyKeyReused
    if not message.is_settled:
        chatstore.keep()
    return Accepted(message, position=pod.unsettled, replayed=True)


def _recorded(
    pod: Pod, *, text: str, by: Caller, performer_id: str, key: str | None, digest: str | None
) -> ChatMessage:
    """A message behind all others of a locked pod, of which there is a line but no row yet."""
    at = clock.now()
    pod.last_seq, pod.last_cursor, pod.unsettled = pod.last_seq + 1, pod.last_cursor + 1, pod.unsettled + 1
    pod.desired, pod.last_work_at, pod.last_activity_at = Pod.Desired.AWAKE, at, at
    message = ChatMessage(
        pod=pod, seq=pod.last_seq, cursor=pod.last_cursor, text=text, accepted_by=by.name, created_at=at,
        performer_id=performer_id, request_id=context.request_id.get(), next_attempt_at=at,
        idempotency_key=key, idempotency_digest=digest,
    )  # fmt: skip
    pod_events.write(
        pod.session, "chat.accepted", performer_id=performer_id, message_id=str(message.pk), length=len(text)
    )
    return message


def _bury(message: ChatMessage, outcome: Dead) -> None:
    message.error_code, message.error_detail, message.pod_status = outcome.code, outcome.detail, outcome.pod_status
    _settle(message, status=ChatMessage.Status.DEAD, reason=outcome.code)


def _retry(message: ChatMessage, outcome: Retry | NotHanded) -> None:
    """Back to the queue, to be tried again later; or dead, when the pod failed too often."""
    if isinstance(outcome, NotHanded):
        message.take_back(at=clock.now())
        return
    message.failures += 1
    if message.failures >= settings.CHAT_MAX_ATTEMPTS:
        _bury(message, Dead("POD_FAILED", outcome.detail, outcome.pod_status))
        return
    wait_s = RETRY_AFTER_S[min(message.failures, len(RETRY_AFTER_S)) - 1]
    if outcome.retry_after_s is not None:
        wait_s = outcome.retry_after_s
    message.give_back(at=clock.now() + dt.timedelta(seconds=wait_s))


def _settle(message: ChatMessage, *, status: str, response: str | None = None, **members: str) -> None:
    """Give a locked message its outcome, and leave a line of it."""
    pod, at = message.pod, clock.now()
    pod.last_cursor, pod.unsettled = pod.last_cursor + 1, pod.unsettled - 1
    message.status, message.response, message.settled_at, message.cursor = status, response, at, pod.last_cursor
    pod_events.write(
        pod.session, f"chat.{status}", performer_id=pod_events.SYSTEM,
        message_id=str(message.pk), attempts=message.attempts, **members,
    )  # fmt: skip
    chatstore.settle(
        pod.session, message_id=message.pk, pod_id=pod.pk, status=status, cursor=message.cursor, response=response,
        at=at, error_code=message.error_code, error_detail=message.error_detail, pod_status=message.pod_status,
        failures=message.failures,
    )  # fmt: skip


def _best_effort(act: Callable[[str, str], None], session_id: str, message_id: uuid.UUID) -> None:
    """Bring the lists along; with Redis away they are repaired later (POD-37)."""
    try:
        act(session_id, str(message_id))
    except RedisUnavailable:
        log.warning("chat.list_behind", session_id=session_id)
