"""The rows of the spine: a Session is one row here plus one JSONL log (CON-13); its state and the log of its writes."""

import datetime as dt
from functools import cache

from django.db import models
from django.db.models import Q

from sessions_app import clock, prepared
from sessions_app.errors import SessionNotFound
from sessions_app.ids import ACTOR_ID_LENGTH, SESSION_ID_LENGTH

CHECKSUM_LENGTH = 64
ONE_ACTIVE = "one_active_exclusive_session"  # the constraint that decides between simultaneous starts (SES-13)
# SES-54: it is indexed, and only a row whose indexed columns stay as they are can be updated in place (HOT).
ACTIVITY_NOTED_EVERY = dt.timedelta(seconds=5)


class SessionQuerySet(models.QuerySet["Session"]):
    """The words in which the spine asks for sessions."""

    def active(self) -> "SessionQuerySet":
        """Sessions that have not ended."""
        return self.filter(status=Session.Status.ACTIVE)

    def lock(self, session_id: str) -> "Session":
        """The row, locked until the transaction ends; it serialises all writers of the session (SES-44).

        Raises SessionNotFound.
        """
        row = prepared.first(_lock_statement(), [session_id])
        if row is None:
            raise SessionNotFound
        return Session.from_db(self.db, [field.attname for field in Session._meta.concrete_fields], row)


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
            models.UniqueConstraint(fields=["user_id"], condition=Q(status="active", exclusive=True), name=ONE_ACTIVE),
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

    def record(self, *, lines: int, head: str) -> None:
        """Move along with the log, which is activity (SES-54); in memory, until `save_recorded`."""
        self.log_lines, self.log_head = lines, head
        if clock.seconds_since(self.last_activity_at) >= ACTIVITY_NOTED_EVERY.total_seconds():
            self.last_activity_at = clock.now()

    def save_recorded(self, *changed: str) -> None:
        """Write what `record` has noted, and the fields `changed`, in one statement."""
        names = ("log_lines", "log_head", "last_activity_at", *changed)
        prepared.run(_save_statement(names), [*(getattr(self, name) for name in names), self.session_id])

    def touch(self, at: dt.datetime | None = None) -> None:
        """Note an accepted request that acts within the session (SES-54)."""
        self.last_activity_at = at or clock.now()
        self.save(update_fields=["last_activity_at"])


# Every act within a session locks its row and moves it along: by the ORM the two took longer than the act's own work.


@cache
def _lock_statement() -> str:
    columns = ", ".join(field.attname for field in Session._meta.concrete_fields)
    # NO KEY: rows that merely refer to the session (captures, states) can be inserted meanwhile.
    return f"SELECT {columns} FROM sessions_app_session WHERE session_id = %s FOR NO KEY UPDATE"


@cache
def _save_statement(names: tuple[str, ...]) -> str:
    values = ", ".join(f"{name} = %s" for name in names)
    return f"UPDATE sessions_app_session SET {values} WHERE session_id = %s"


class State(models.Model):
    """The current state of one session; its row is locked by whoever changes it, and sealed by the session's end."""

    session = models.OneToOneField(Session, primary_key=True, on_delete=models.CASCADE)
    epoch = models.UUIDField()
    version = models.PositiveBigIntegerField()
    data = models.BinaryField()  # canonical bytes, compressed if shorter than size_bytes (STA-19)
    size_bytes = models.PositiveIntegerField()
    checksum = models.CharField(max_length=CHECKSUM_LENGTH)
    device_id = models.CharField(max_length=ACTOR_ID_LENGTH, null=True)
    app_version = models.CharField(max_length=64, null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    # The sweep finds its rows by day: an index on the time itself would cost every write its place on the page (HOT).
    expires_on = models.DateField(db_index=True)
    # The session has ended. A write that holds no lock asks this row and no other.
    is_sealed = models.BooleanField(db_default=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(version__gte=1), name="state_has_a_version")]

    def __str__(self) -> str:
        return f"{self.session_id} v{self.version}"


class StateVersion(models.Model):
    """One version of a state: the operation log, of which the current state is the sum."""

    pk = models.CompositePrimaryKey("session_id", "epoch", "version")
    # No foreign key: versions are only written under the lock of a session's row, which nothing deletes, and its check
    # would lock that row a second time for every version.
    session_id = models.CharField(max_length=SESSION_ID_LENGTH)
    epoch = models.UUIDField()
    version = models.PositiveBigIntegerField()
    source = models.CharField(max_length=11)
    device_id = models.CharField(max_length=ACTOR_ID_LENGTH, null=True)
    app_version = models.CharField(max_length=64, null=True)
    performer_id = models.CharField(max_length=ACTOR_ID_LENGTH)
    op_id = models.CharField(max_length=64, null=True)
    op_digest = models.BinaryField(null=True)
    changes = models.BinaryField()
    deleted_keys = models.JSONField()
    previous = models.BinaryField()
    checksum = models.CharField(max_length=CHECKSUM_LENGTH)
    size_bytes = models.PositiveIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["session_id", "device_id", "op_id"],
                condition=models.Q(op_id__isnull=False),
                name="one_version_per_op_id",
            )
        ]

    def __str__(self) -> str:
        return f"{self.session_id} v{self.version} {self.source}"


class Writer(models.Model):
    """A device that has written a state, once the operation log no longer says so (DEV-53)."""

    pk = models.CompositePrimaryKey("session_id", "device_id")
    session_id = models.CharField(max_length=SESSION_ID_LENGTH)
    device_id = models.CharField(max_length=ACTOR_ID_LENGTH)
    written_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.session_id} {self.device_id}"


class IdempotentAnswer(models.Model):
    """A 2xx answer that repeats itself for 24 hours when its Idempotency-Key does (STA-55)."""

    pk = models.CompositePrimaryKey("scope", "key")
    scope = models.CharField(max_length=160)  # the caller
    key = models.CharField(max_length=128)
    digest = models.BinaryField()  # of method, path, media type and canonical body
    status = models.PositiveSmallIntegerField()
    etag = models.CharField(max_length=64)
    location = models.CharField(max_length=64, null=True)
    body = models.BinaryField()
    created_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.scope} {self.key}"


class Login(models.Model):
    """One sign-in: the family of all token pairs that came of it (OPS-16, OPS-20)."""

    family = models.UUIDField(primary_key=True)
    user_id = models.CharField(max_length=ACTOR_ID_LENGTH)
    device_id = models.CharField(max_length=ACTOR_ID_LENGTH, null=True)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["user_id", "device_id"], name="login_by_user_and_device")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.family}"


class RefreshTicket(models.Model):
    """One refresh token, kept as a hash only (OPS-23)."""

    sha256 = models.CharField(primary_key=True, max_length=64)
    login = models.ForeignKey(Login, on_delete=models.CASCADE)
    expires_at = models.DateTimeField(db_index=True)
    spent_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.sha256[:8]


class Revocation(models.Model):
    """Access tokens that are dead before their time; forgotten when the last of them would have expired."""

    class Kind(models.TextChoices):
        FAMILY = "family"
        TOKEN = "jti"
        USER = "user"  # all tokens of the user issued up to `at`

    kind = models.CharField(max_length=6, choices=Kind.choices)
    value = models.CharField(max_length=ACTOR_ID_LENGTH)
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"
