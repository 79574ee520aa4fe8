"""Wire shapes of captures, for both transports (GES-10 to GES-13, GES-21, GES-57). The app's one schema surface."""

from typing import Any

from rest_framework import serializers

from gestures.machine.moves import FrameMeta
from gestures.models import FeatureRef
from sessions_app import clock
from sessions_app.http.bodies import WireSerializer
from sessions_app.http.fields import (
    ActorId,
    Flag,
    JsonObject,
    OneOf,
    RecordId,
    SchemaVersion,
    SessionId,
    Text,
    Timestamp,
    Whole,
    WireField,
)

ANY_WHOLE = {"least": -(2**53), "most": 2**53}  # what a limit refuses must be read first, to get the limit's own code
ENTRY_MEMBERS = {"seq", "timestamp_frame", "byte_length"}


class AuthIn(WireSerializer):
    """`capture.auth`."""

    token = Text(least=1, most=4096)


class Annotation(WireField):
    """What the gesture is meant to say: an object with the single member `intent`."""

    def read(self, value: Any) -> dict[str, Any]:
        """The annotation; an intent of null counts as absent."""
        if not isinstance(value, dict) or not value.keys() <= {"intent"}:
            raise ValueError("must be an object with the single member intent")
        if value.get("intent") is not None:
            Text(least=1, most=128).read(value["intent"])
        return value


class HeaderIn(WireSerializer):
    """What any message after the open may repeat of it (GES-13); nothing is required there."""

    user_id = ActorId(required=False)
    session_id = SessionId(required=False)
    timestamp = Timestamp(required=False)
    record_id = RecordId(version=4, required=False)
    performer_id = ActorId(required=False)
    device_id = ActorId(required=False)
    consent_given = Flag(required=False)
    is_demo = Flag(required=False)
    schema_version = SchemaVersion(required=False)
    source = OneOf("ui", required=False)  # type: ignore[assignment]  # a wire name
    modality = OneOf("image", required=False)
    capture_id = RecordId(version=4, required=False)


class FrameMetaIn(HeaderIn):
    """`capture.frame_meta`."""

    seq = Whole(**ANY_WHOLE)
    timestamp_frame = Timestamp()
    byte_length = Whole(**ANY_WHOLE)


class CloseIn(HeaderIn):
    """`capture.close`."""

    timestamp_end = Timestamp()


class CancelIn(HeaderIn):
    """`capture.cancel`."""


class OpenIn(WireSerializer):
    """`capture.open`: the session header (SES-50), then the capture's own members."""

    user_id = ActorId()
    session_id = SessionId()
    timestamp = Timestamp()
    record_id = RecordId(version=4)
    performer_id = ActorId()
    device_id = ActorId(required=False)
    consent_given = Flag(required=False)
    is_demo = Flag(required=False)
    schema_version = SchemaVersion()
    timestamp_start = Timestamp()
    fps_target = Whole(**ANY_WHOLE)
    width = Whole(**ANY_WHOLE)
    height = Whole(**ANY_WHOLE)
    encoding = OneOf("jpeg")
    source = OneOf("ui", required=False)  # type: ignore[assignment]  # a wire name
    modality = OneOf("image", required=False)
    capture_id = RecordId(version=4, required=False)
    annotation = Annotation(required=False)


def read_entry(entry: Any, where: str = "") -> FrameMeta:
    """A frame's sequence number, time and size in bytes. Raises ValueError."""
    if not isinstance(entry, dict) or entry.keys() != ENTRY_MEMBERS:
        raise ValueError(f"the members{where} must be exactly seq, timestamp_frame and byte_length")
    for name in ("seq", "byte_length"):
        if type(entry[name]) is not int:
            raise ValueError(f"{name}{where} must be an integer")
    try:
        at = clock.parse(entry["timestamp_frame"])
    except ValueError as error:
        raise ValueError(f"timestamp_frame{where} is {error}") from error
    return FrameMeta(entry["seq"], at, entry["byte_length"])


class Entries(WireField):
    """The frames an upload announces, in order; read by hand, because there may be 1,800 of them."""

    def read(self, value: Any) -> list[FrameMeta]:
        """One FrameMeta for each entry."""
        if not isinstance(value, list):
            raise ValueError("must be a list")
        return [read_entry(entry, f" of entry {number}") for number, entry in enumerate(value, start=1)]


class UploadIn(OpenIn):
    """The `meta` part of an upload."""

    timestamp_end = Timestamp()
    frames = Entries()


class PageSize(WireField):
    """The `limit` of a list, as a query has it: digits."""

    def read(self, value: Any) -> int:
        """1 to 200."""
        if not (isinstance(value, str) and value.isascii() and value.isdigit() and 1 <= int(value[:4]) <= 200):
            raise ValueError("must be a number from 1 to 200")
        return int(value)


class ListIn(WireSerializer):
    """The query of the list of captures."""

    session_id = SessionId()
    limit = PageSize(required=False)
    cursor = Text(least=1, most=256, required=False)


class CaptureOut(serializers.ModelSerializer):  # type: ignore[type-arg]
    """The capture object (GES-57)."""

    record_id = serializers.UUIDField()
    session_id = serializers.CharField()
    timestamp_start = serializers.SerializerMethodField()
    timestamp_end = serializers.SerializerMethodField()
    duration_s = serializers.FloatField()
    raw_features_ref = JsonObject()
    created_at = serializers.SerializerMethodField()
    features_url = serializers.SerializerMethodField()

    class Meta:
        model = FeatureRef
        fields = [
            "record_id", "session_id", "user_id", "performer_id", "device_id", "modality", "timestamp_start",
            "timestamp_end", "duration_s", "frames", "fps_target", "width", "height", "intent", "size_bytes",
            "raw_features_ref", "created_at", "features_url",
        ]  # fmt: skip

    def get_timestamp_start(self, ref: FeatureRef) -> str:
        """Event time."""
        return clock.stamp(ref.timestamp_start)

    def get_timestamp_end(self, ref: FeatureRef) -> str:
        """Event time."""
        return clock.stamp(ref.timestamp_end)

    def get_created_at(self, ref: FeatureRef) -> str:
        """Server time."""
        return clock.stamp(ref.created_at)

    def get_features_url(self, ref: FeatureRef) -> str:
        """Where the file is served."""
        return features_url(str(ref.record_id))


def features_url(record_id: str) -> str:
    """Where the file of a capture is served (GES section 8)."""
    return f"/camera_feed_worker/captures/{record_id}/features.npz"
