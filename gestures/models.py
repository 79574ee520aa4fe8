"""The rows of a capture: a FeatureRef for each completed one (GES-52), a CaptureSlot while one is running."""

from typing import Any

from django.db import models
from django.db.models import Q

from gestures.limits import MAX_FRAMES
from sessions_app.ids import ACTOR_ID_LENGTH
from sessions_app.models import Session


class FeatureRef(models.Model):
    """One completed capture; never updated, and rebuilt from its log line if lost."""

    record_id = models.UUIDField(primary_key=True)
    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="captures")
    user_id = models.CharField(max_length=ACTOR_ID_LENGTH)
    performer_id = models.CharField(max_length=ACTOR_ID_LENGTH)
    device_id = models.CharField(max_length=ACTOR_ID_LENGTH, null=True)
    modality = models.CharField(max_length=16, default="gesture")
    uri = models.CharField(max_length=512, unique=True)
    hash = models.CharField(max_length=64)  # SHA-256 of the whole file
    encoding = models.CharField(max_length=256)
    dims = models.PositiveIntegerField()
    format = models.CharField(max_length=8, default="npz")
    dtype = models.CharField(max_length=8, default="float32")
    frames = models.PositiveIntegerField()
    size_bytes = models.PositiveIntegerField()  # of the file
    timestamp_start = models.DateTimeField()  # event time, as the client said
    timestamp_end = models.DateTimeField()
    fps_target = models.PositiveSmallIntegerField()
    width = models.PositiveSmallIntegerField()
    height = models.PositiveSmallIntegerField()
    captured_bytes = models.PositiveIntegerField()  # of the JPEGs, none of which was kept
    intent = models.CharField(max_length=128, null=True)
    created_at = models.DateTimeField()  # the event's timestamp

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(dims__gt=0), name="feature_dims_positive"),
            models.CheckConstraint(condition=Q(frames__gte=1, frames__lte=MAX_FRAMES), name="feature_frames_in_limits"),
            models.CheckConstraint(condition=Q(hash__regex="^[0-9a-f]{64}$"), name="feature_hash_form"),
        ]
        indexes = [models.Index(fields=["session", "created_at", "record_id"], name="feature_by_session")]

    def __str__(self) -> str:
        return str(self.record_id)

    @property
    def shape(self) -> list[int]:
        """The shape of the array in the file."""
        return [self.frames, self.dims]

    @property
    def duration_s(self) -> float:
        """How long the capture was, in event time."""
        return (self.timestamp_end - self.timestamp_start).total_seconds()

    @property
    def raw_features_ref(self) -> dict[str, Any]:
        """The reference as wire and log have it (GES section 7)."""
        return {
            "uri": self.uri,
            "hash": self.hash,
            "encoding": self.encoding,
            "dims": self.dims,
            "format": self.format,
            "shape": self.shape,
            "dtype": self.dtype,
        }


class CaptureSlot(models.Model):
    """The one capture a session may have open, in whichever process it runs; a lease, so a dead process frees it."""

    session = models.OneToOneField(Session, primary_key=True, on_delete=models.CASCADE, related_name="capture_slot")
    record_id = models.UUIDField()
    holder = models.UUIDField()  # the connection or request that captures
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.session_id} {self.record_id}"
