"""The rows of pods (POD section 3): who answers a session, and every change of its state."""

import datetime as dt
import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q

from routing.pod.pod_states import ENDING, State
from sessions_app.models import Session

if TYPE_CHECKING:
    from routing.pod.chat_models import ChatMessageQuerySet

CALLER_LENGTH = 160  # as Session.opened_by
IDEMPOTENCY_KEY_LENGTH = 128
DIGEST_LENGTH = 64
STATES = [(state.value, state.value) for state in State]


class Worker(models.Model):
    """One process `run_pods`, alive while its heartbeat is fresh (POD-53)."""

    worker_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    machine = models.CharField(max_length=128)  # where its pids mean something
    pid = models.PositiveIntegerField()
    pid_start = models.PositiveBigIntegerField()
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.worker_id)


def _fresh(at: dt.datetime) -> Q:
    """Used lately, or with messages pending: such a session does not expire (POD-42)."""
    return Q(unsettled__gt=0) | Q(last_activity_at__gt=at - dt.timedelta(seconds=settings.SESSION_TTL))


class PodQuerySet(models.QuerySet["Pod"]):
    """The words in which routing asks for pods."""

    def present(self) -> "PodQuerySet":
        """Pods that are not gone for good."""
        return self.exclude(state=State.TERMINATED)

    def standing(self) -> "PodQuerySet":
        """Pods that nobody has begun to take down."""
        return self.exclude(state__in=ENDING)

    def live(self, at: dt.datetime) -> "PodQuerySet":
        """Pods of live sessions: active, not being taken down, not expired (POD-42)."""
        return self.standing().filter(_fresh(at), session__status=Session.Status.ACTIVE)

    def expired(self, at: dt.datetime) -> "PodQuerySet":
        """Pods idle for SESSION_TTL; one with pending messages never is (POD-42)."""
        return self.standing().exclude(_fresh(at))


class Pod(models.Model):
    """The program that answers one session's chat. A session has at most one that is not terminated."""

    class Desired(models.TextChoices):
        AWAKE = "awake"
        ASLEEP = "asleep"

    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="pods")
    attached = models.BooleanField(default=False)  # create found the session open and did not open it (POD-43)
    state = models.CharField(max_length=11, choices=STATES, default=State.CREATED)
    generation = models.PositiveIntegerField(default=0)  # one more with each change of state (POD-32)
    wake_generation = models.PositiveIntegerField(default=0)  # that of the last change to waking (POD-38)
    woken_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=32, default="created")
    since = models.DateTimeField()
    desired = models.CharField(max_length=6, choices=Desired.choices, default=Desired.ASLEEP)
    created_at = models.DateTimeField()
    last_activity_at = models.DateTimeField()  # POD-39; the session expires SESSION_TTL after it
    last_work_at = models.DateTimeField()  # wakes, accepted and settled messages: what the idle sleep counts from
    last_seq = models.PositiveIntegerField(default=0)
    last_cursor = models.PositiveBigIntegerField(default=0)
    unsettled = models.PositiveIntegerField(default=0)  # messages without an outcome: kept here, under the row's lock
    failures = models.PositiveSmallIntegerField(default=0)  # failed wakes in a row
    retry_at = models.DateTimeField(null=True)  # when a failed pod with pending messages is tried again
    backend_since = models.DateTimeField(null=True)  # the backend was asked to run this pod: its wake timeout counts
    last_output = models.TextField(default="")  # the last lines of a local pod that failed; staff only (POD-51)
    created_by = models.CharField(max_length=CALLER_LENGTH)
    idempotency_key = models.CharField(max_length=IDEMPOTENCY_KEY_LENGTH, null=True)
    idempotency_digest = models.CharField(max_length=DIGEST_LENGTH, null=True)

    # A local pod's process, while there is one (POD-50, POD-53)
    worker = models.ForeignKey(Worker, on_delete=models.SET_NULL, null=True, related_name="pods")
    pid = models.PositiveIntegerField(null=True)
    pid_start = models.PositiveBigIntegerField(null=True)  # clock ticks since boot: a pid used again has another
    port = models.PositiveIntegerField(null=True)

    objects = PodQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["session"], condition=~Q(state="terminated"), name="one_present_pod_per_session"
            ),
            models.UniqueConstraint(
                fields=["created_by", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="one_pod_per_idempotency_key",
            ),
            models.CheckConstraint(
                condition=Q(pid__isnull=True, pid_start__isnull=True) | Q(pid__isnull=False, pid_start__isnull=False),
                name="pid_with_start",
            ),
        ]
        indexes = [
            models.Index(fields=["last_activity_at"], condition=~Q(state="terminated"), name="present_pod_by_activity"),
            models.Index(fields=["-created_at"], condition=~Q(state="terminated"), name="present_pod_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.session_id} {self.state}"

    @property
    def expires_at(self) -> dt.datetime:
        """When an idle session ends (POD-42)."""
        return self.last_activity_at + dt.timedelta(seconds=settings.SESSION_TTL)

    def is_expired(self, at: dt.datetime) -> bool:
        """Whether the pod is idle beyond its time; one with pending messages never is."""
        return self.expires_at <= at and not self.unsettled

    def pending(self) -> "ChatMessageQuerySet":
        """The messages that are not settled, in the order of acceptance."""
        return self.messages.pending().order_by("seq")


class PodTransition(models.Model):
    """One change of a pod's state and why (POD-25, POD-32)."""

    pod = models.ForeignKey(Pod, on_delete=models.CASCADE, related_name="transitions")
    from_state = models.CharField(max_length=11, choices=STATES, null=True)
    to_state = models.CharField(max_length=11, choices=STATES)
    reason = models.CharField(max_length=32)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["pod", "-id"], name="transitions_newest_first")]

    def __str__(self) -> str:
        return f"{self.from_state or '-'} > {self.to_state}: {self.reason}"
