"""The rows of devices: what a session knows of each (DEV-53), and the tokens that hand a state over (DEV-56)."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import models

from sessions_app.ids import ACTOR_ID_LENGTH
from sessions_app.models import CHECKSUM_LENGTH, Session

KNOWN_FOR = dt.timedelta(days=7)  # DEV-53
TEXTS = ("device_type", "device_name", "os_version", "app_version")  # what a device may say of itself


class DeviceQuerySet(models.QuerySet["Device"]):
    """The words in which devices are asked for."""

    def connected(self, says: Mapping[tuple[str, str], dict[str, Any]], *, at: dt.datetime) -> None:
        """Note that devices have connected, by session and device, and what each says of itself: all of TEXTS."""
        rows = [
            Device(session_id=session_id, device_id=device_id, connected_at=at, last_seen=at, **texts)
            for (session_id, device_id), texts in says.items()
        ]
        self._upsert(rows, ["connected_at", "last_seen", *TEXTS])

    def seen(self, session_id: str, device_ids: Iterable[str], *, at: dt.datetime) -> None:
        """Note a sign of devices that did not connect."""
        rows = [Device(session_id=session_id, device_id=name, last_seen=at) for name in device_ids]
        self._upsert(rows, ["last_seen"])

    def forget(self, session_id: str, device_id: str, *, at: dt.datetime) -> None:
        """Let signs from before `at` count no more; the row stays, as the log may hold some."""
        row = Device(session_id=session_id, device_id=device_id, last_seen=at, forgotten_at=at)
        self._upsert([row], ["forgotten_at", "last_seen"])

    def _upsert(self, rows: list["Device"], fields: list[str]) -> None:
        self.bulk_create(rows, update_conflicts=True, unique_fields=["session", "device_id"], update_fields=fields)


class Device(models.Model):
    """One device as one session knows it. Whether it is online is a lease, not a row."""

    pk = models.CompositePrimaryKey("session_id", "device_id")
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="known_devices")
    device_id = models.CharField(max_length=ACTOR_ID_LENGTH)
    device_type = models.CharField(max_length=32, null=True)
    device_name = models.CharField(max_length=128, null=True)
    os_version = models.CharField(max_length=64, null=True)
    app_version = models.CharField(max_length=64, null=True)
    connected_at = models.DateTimeField(null=True)  # its latest connection
    last_seen = models.DateTimeField()
    forgotten_at = models.DateTimeField(null=True)  # deleted: signs of it from before count no more

    objects = DeviceQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["last_seen"], name="device_by_last_seen")]

    def __str__(self) -> str:
        return f"{self.session_id} {self.device_id}"

    def is_known(self, at: dt.datetime) -> bool:
        """Whether it gave a sign within the last week and was not deleted since (DEV-53)."""
        was_deleted = self.forgotten_at is not None and self.last_seen <= self.forgotten_at
        return self.last_seen > at - KNOWN_FOR and not was_deleted

    def described(self) -> dict[str, Any]:
        """What the device said of itself."""
        return {name: getattr(self, name) for name in TEXTS}


class HandoffToken(models.Model):
    """One handoff of a session's state from a source to a target; the token itself is never stored (DEV-56)."""

    handoff_id = models.CharField(primary_key=True, max_length=21)  # hand-<16 hex>
    token_sha256 = models.BinaryField(unique=True)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="handoffs")
    source_device = models.CharField(max_length=ACTOR_ID_LENGTH)
    target_device = models.CharField(max_length=ACTOR_ID_LENGTH)
    issued_at = models.DateTimeField()
    issued_version = models.PositiveBigIntegerField()
    issued_checksum = models.CharField(max_length=CHECKSUM_LENGTH)
    expires_at = models.DateTimeField()
    redeemed_at = models.DateTimeField(null=True)
    redeemed_version = models.PositiveBigIntegerField(null=True)
    redeemed_checksum = models.CharField(max_length=CHECKSUM_LENGTH, null=True)
    answer_key = models.CharField(max_length=128, null=True)  # the Idempotency-Key of the redeeming request
    answer = models.BinaryField(null=True)  # what it was answered, kept for a repetition (DEV-61)

    class Meta:
        indexes = [models.Index(fields=["session", "-issued_at"], name="handoff_by_session")]

    def __str__(self) -> str:
        return self.handoff_id
