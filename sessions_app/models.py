"""The rows of the spine: a Session is one row here plus one JSONL log (CON-13)."""

import datetime as dt

from django.db import models
from django.db.models import Q

from sessions_app import clock
from sessions_app.errors import SessionNotFound
from sessions_app.ids import ACTOR_ID_LENGTH, SESSION_ID_LENGTH


class SessionQuerySet(models.QuerySet["Session"]):
    """The words in which the spine asks for sessions."""

    def active(self) -> "SessionQuerySet":
        """Sessions that have not ended."""
        return self.filter(status=Session.Status.ACTIVE)

    def lock(self, session_id: str) -> "Session":
        """The row, locked until the transaction ends; it serialises all writers of the session (SES-44).

        Raises SessionNotFound.
        """
        # NO KEY: rows that merely refer to the session (captures, states) can be inserted meanwhile.
        session = self.select_for_update(no_key=True).filter(session_id=session_id).first()
        if session is None:
            raise SessionNotFound
        return session


class Session(models.Model):
    """A person's session, from an authoritative start to an authoritative end."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        CLOSED = "closed"

    class EndReason(models.TextChoices):
        REQUESTED = "requested"
        TIMEOUT = "timeout"
        DELETED = "deleted"
        REPAIR = "repair"

    session_id = models.CharField(primary_key=True, max_length=SESSION_ID_LENGTH)
    user_id = models.CharField(max_length=ACTOR_ID_LENGTH)
    status = models.CharField(max_length=6, choices=Status.choices, default=Status.ACTIVE)
    exclusive = models.BooleanField(default=False)
    start_time = models.DateTimeField()
    end_time = models.DateTimeField(null=True)
    is_training_data = models.BooleanField(default=False)
    session_notes = models.TextField(null=True)
    training_intent_label = models.CharField(max_length=128, null=True)
    performer_id = models.CharField(max_length=ACTOR_ID_LENGTH)
    device_id = models.CharField(max_length=ACTOR_ID_LENGTH, null=True)
    consent_given = models.BooleanField(null=True)
    is_demo = models.BooleanField(null=True)
    opened_via = models.CharField(max_length=32)  # the door: "sessions.start", "snapshot", "ws", "golf", "pod"
    opened_by = models.CharField(max_length=160)  # the authenticated caller, kept apart from the declaration (SES-30)
    closed_by = models.CharField(max_length=160, null=True)
    end_reason = models.CharField(max_length=9, choices=EndReason.choices, null=True)
    start_record_id = models.UUIDField(unique=True)
    end_record_id = models.UUIDField(unique=True, null=True)
    last_activity_at = models.DateTimeField()
    log_lines = models.PositiveIntegerField(default=0)  # lines of the log that committed transactions vouch for
    log_head = models.CharField(max_length=64, default="")  # the chain value after the last of them

    objects = SessionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user_id"], condition=Q(status="active", exclusive=True), name="one_active_exclusive_session"
            ),
            models.CheckConstraint(
                condition=Q(status="closed", end_time__isnull=False, end_record_id__isnull=False)
                | Q(status="active", end_time__isnull=True, end_record_id__isnull=True),
                name="closed_iff_ended",
            ),
        ]
        indexes = [
            models.Index(fields=["last_activity_at"], condition=Q(status="active"), name="active_by_activity"),
            models.Index(fields=["user_id", "-start_time"], name="session_by_user"),
        ]

    def __str__(self) -> str:
        return self.session_id

    @property
    def is_active(self) -> bool:
        """Whether the session has not ended."""
        return self.status == self.Status.ACTIVE

    def touch(self, at: dt.datetime | None = None) -> None:
        """Note an accepted request that acts within the session (SES-54)."""
        self.last_activity_at = at or clock.now()
        self.save(update_fields=["last_activity_at"])
