"""Every repair of pods and queues (POD-29, POD-37, POD-43, POD-69 to POD-72): safe at any time, by anybody, repeatedly.

Each function is one kind of repair: it yields one Act for each thing it found, and with `dry_run` changes nothing.
"""

import datetime as dt
import uuid
from collections.abc import Iterator
from functools import partial

from django.conf import settings
from django.db import transaction

from routing import inbox
from routing.models import ChatMessage, Pod
from routing.pod import pod_endings, podstore, workers
from routing.pod.pod_states import ENDING, State
from routing.pod.repairs import Act, Repair, attempt
from sessions_app import clock
from sessions_app.kinds import DomainError
from sessions_app.models import Session

MARK_STAYS_S = 10  # POD-38: two polls of KEDA


def expired(dry_run: bool = False) -> Iterator[Act]:
    """End the sessions and pods that nobody has used for SESSION_TTL (POD-43)."""
    found = Pod.objects.expired(clock.now()).order_by("last_activity_at")
    for session_id in list(found.values_list("session_id", flat=True)):
        yield from attempt("expire", session_id, "expired", dry_run, partial(pod_endings.expire, session_id))


def ended(dry_run: bool = False) -> Iterator[Act]:
    """Take down the pods of sessions that were closed by another door (POD-29)."""
    found = Pod.objects.standing().filter(session__status=Session.Status.CLOSED)
    for session_id in list(found.values_list("session_id", flat=True)):
        yield from attempt("terminate", session_id, "session_ended", dry_run, partial(_take_down, session_id))


def unfinished(dry_run: bool = False) -> Iterator[Act]:
    """Finish what was begun to be taken down (POD-28)."""
    found = Pod.objects.filter(state=State.TERMINATING)
    for session_id, reason in list(found.values_list("session_id", "reason")):
        yield from attempt("terminate", session_id, reason, dry_run, partial(pod_endings.finish_end, session_id))


def leases(dry_run: bool = False) -> Iterator[Act]:
    """Free the messages whose attempt nobody will report on any more."""
    over = ChatMessage.objects.filter(status=ChatMessage.Status.DELIVERING, lease_until__lte=clock.now())
    for message_id, session_id in list(over.values_list("pk", "pod__session_id")):
        yield from attempt("repair", session_id, "lease_expired", dry_run, partial(_free, message_id))


def lists(dry_run: bool = False) -> Iterator[Act]:
    """Make the Redis lists say what the rows say (POD-37). Raises RedisUnavailable."""
    pending = set(ChatMessage.objects.pending().values_list("pod__session_id", flat=True))
    for session_id in sorted(pending | inbox.sessions_with_lists()):
        pod = Pod.objects.standing().filter(session_id=session_id).first()
        if pod is not None:
            yield from attempt(
                "repair", session_id, "list_differs", dry_run, partial(_mend, pod.pk, dry_run), asks=True
            )


def retention(dry_run: bool = False) -> Iterator[Act]:
    """Erase the messages of sessions that ended CHAT_RETENTION_S ago (POD-29)."""
    over = clock.now() - dt.timedelta(seconds=settings.CHAT_RETENTION_S)
    old = Pod.objects.filter(state=State.TERMINATED, since__lte=over, messages__isnull=False).distinct()
    for pod in list(old):
        yield from attempt("repair", pod.session_id, "retention", dry_run, partial(_erase, pod))


def dead_workers(dry_run: bool = False) -> Iterator[Act]:
    """Take from workers that have died what they tended, processes included (POD-50)."""
    for session_id in workers.bury_dead(dry_run=dry_run):
        yield Act("remove", session_id, "worker_died")


def stray_keys(dry_run: bool = False) -> Iterator[Act]:
    """Delete the lists of sessions that have no standing pod (POD-71). Raises RedisUnavailable."""
    held = inbox.sessions_with_lists()
    standing = Pod.objects.standing().filter(session_id__in=held).values_list("session_id", flat=True)
    for session_id in sorted(held - set(standing)):
        yield from attempt("remove", session_id, "redis_keys", dry_run, partial(_forget, session_id))


QUICK: tuple[Repair, ...] = (dead_workers, lists)  # POD-37
SLOW: tuple[Repair, ...] = (expired, ended, unfinished, leases, retention, stray_keys)  # POD-43


def slow() -> tuple[Repair, ...]:
    """The slow repairs of the driver in use."""
    if settings.POD_DRIVER != "kubernetes":
        return SLOW
    from routing.pod import cluster_reaper

    return SLOW + cluster_reaper.REPAIRS


def everything(dry_run: bool = False) -> Iterator[Act]:
    """One pass of every repair (POD-69); one that cannot even begin is a failed act of its own."""
    for repair in slow() + QUICK:
        try:
            yield from repair(dry_run)
        except DomainError as error:
            yield Act("repair", "-", f"{repair.__name__}:{error.code}", failed=True)


def _take_down(session_id: str) -> bool:
    pod_endings.begin_end(session_id, reason="session_ended", end_reason=None)
    return pod_endings.finish_end(session_id)


def _free(message_id: uuid.UUID) -> bool:
    with transaction.atomic():
        message = ChatMessage.objects.get(pk=message_id)
        podstore.lock_pod(message.pod_id)
        message.refresh_from_db()
        at = clock.now()
        if message.lease_until is None or message.lease_until > at:
            return False
        message.give_back(at=at)
        return True


def _erase(pod: Pod) -> bool:
    pod.messages.all().delete()
    return True


def _forget(session_id: str) -> bool:
    inbox.forget(session_id)
    return True


def _mend(pod_id: int, dry_run: bool) -> bool:
    """Rebuild both lists under the pod's row lock; whether they differed."""
    with transaction.atomic():
        pod = Pod.objects.select_for_update(no_key=True).get(pk=pod_id)
        if pod.state in ENDING:
            return False
        waiting: list[str] = []
        in_flight: list[str] = []
        for message in pod.pending():
            (waiting if message.status == ChatMessage.Status.QUEUED else in_flight).append(str(message.pk))
        return inbox.rebuild(
            pod.session_id, queued=waiting, in_flight=in_flight, mark=_mark_of(pod), only_compare=dry_run
        )


def _mark_of(pod: Pod) -> str | None:
    """The wake mark that still has to be seen by KEDA, if any."""
    if pod.woken_at is None or pod.state == State.SLEEPING:
        return None  # a mark kept beyond the sleep would wake the pod again
    young = clock.now() < pod.woken_at + dt.timedelta(seconds=MARK_STAYS_S)
    return inbox.wake_mark(pod.wake_generation) if young or pod.state == State.WAKING else None
