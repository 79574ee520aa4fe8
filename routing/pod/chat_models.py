"""The rows of chat (POD section 4): every message and what became of it. The row is the truth."""

import datetime as dt
import uuid

from django.db import models
from django.db.models import Q

from routing.pod.pod_models import CALLER_LENGTH, DIGEST_LENGTH, IDEMPOTENCY_KEY_LENGTH, Pod, Worker
from sessions_app.ids import ACTOR_ID_LENGTH


class ChatMessageQuerySet(models.QuerySet["ChatMessage"]):
    """The words in which routing asks for messages."""

    def pending(self) -> "ChatMessageQuerySet":
        """Messages without an outcome."""
        return self.filter(status__in=ChatMessage.UNSETTLED)


class ChatMessage(models.Model):
    """What a client sent and, once settled, what became of it (POD section 4)."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        DELIVERING = "delivering"
        ANSWERED = "answered"
        DEAD = "dead"

    UNSETTLED = (Status.QUEUED, Status.DELIVERING)

    message_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    pod = models.ForeignKey(Pod, on_delete=models.PROTECT, related_name="messages")
    seq = models.PositiveIntegerField()
    cursor = models.PositiveBigIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    text = models.TextField()
    performer_id = models.CharField(max_length=ACTOR_ID_LENGTH)
    accepted_by = models.CharField(max_length=CALLER_LENGTH)
    request_id = models.CharField(max_length=64, default="")  # of the request that brought it, passed on (OPS-51)
    idempotency_key = models.CharField(max_length=IDEMPOTENCY_KEY_LENGTH, null=True)
    idempotency_digest = models.CharField(max_length=DIGEST_LENGTH, null=True)
    attempts = models.PositiveSmallIntegerField(default=0)  # times it was handed to the pod
    failures = models.PositiveSmallIntegerField(default=0)  # attempts that ended in a retry (POD-33)
    next_attempt_at = models.DateTimeField()
    lease_id = models.UUIDField(null=True)  # one attempt of one worker
    lease_until = models.DateTimeField(null=True)
    lease_worker = models.ForeignKey(Worker, on_delete=models.SET_NULL, null=True, related_name="+")
    response = models.TextField(null=True)  # the pod's JSON to the letter: jsonb would reorder and round it (POD-46)
    error_code = models.CharField(max_length=32, null=True)
    error_detail = models.CharField(max_length=200, null=True)
    pod_status = models.PositiveSmallIntegerField(null=True)
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    objects = ChatMessageQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pod", "seq"], name="one_message_per_seq"),
            models.UniqueConstraint(fields=["pod", "cursor"], name="one_message_per_cursor"),
            models.UniqueConstraint(
                fields=["pod"], condition=Q(status="delivering"), name="one_message_in_flight_per_pod"
            ),
            models.UniqueConstraint(
                fields=["pod", "accepted_by", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="one_message_per_idempotency_key",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["answered", "dead"], settled_at__isnull=False)
                | Q(status__in=["queued", "delivering"], settled_at__isnull=True),
                name="settled_iff_outcome",
            ),
            models.CheckConstraint(
                condition=Q(status="answered", response__isnull=False, error_code__isnull=True)
                | Q(status="dead", response__isnull=True, error_code__isnull=False)
                | Q(status__in=["queued", "delivering"], response__isnull=True, error_code__isnull=True),
                name="response_or_error_by_status",
            ),
            models.CheckConstraint(
                condition=Q(status="delivering", lease_id__isnull=False, lease_until__isnull=False)
                | (~Q(status="delivering") & Q(lease_id__isnull=True, lease_until__isnull=True)),
                name="lease_iff_delivering",
            ),
        ]
        indexes = [
            models.Index(
                fields=["pod", "seq"], condition=Q(status__in=["queued", "delivering"]), name="pending_messages"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.message_id} {self.status}"

    @property
    def is_settled(self) -> bool:
        """Whether it has its outcome."""
        return self.status not in self.UNSETTLED

    def give_back(self, *, at: dt.datetime) -> None:
        """End an attempt without an outcome; the next one may begin at `at`."""
        self.status, self.next_attempt_at = self.Status.QUEUED, at
        self.lease_id = self.lease_until = self.lease_worker = None
        self.save()

    def take_back(self, *, at: dt.datetime) -> None:
        """End an attempt that never was one: the pod was not there."""
        self.attempts -= 1
        self.give_back(at=at)

    def bury(self, code: str, detail: str, *, at: dt.datetime, cursor: int) -> None:
        """Settle without an answer, and say why."""
        self.status, self.settled_at, self.cursor = self.Status.DEAD, at, cursor
        self.error_code, self.error_detail = code, detail
        self.lease_id = self.lease_until = self.lease_worker = None
        self.save()
