"""The messages of `/ws/capture` (GES-10 to GES-20), text to moves and outcomes to text; and the `meta` of an upload."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gestures import errors, limits
from gestures.machine import moves
from gestures.models import FeatureRef
from gestures.serializers import (
    ENTRY_MEMBERS,
    AuthIn,
    CancelIn,
    CloseIn,
    FrameMetaIn,
    HeaderIn,
    OpenIn,
    UploadIn,
    features_url,
    read_entry,
)
from sessions_app import clock, jsonwire
from sessions_app.errors import FieldInvalid, MalformedJson
from sessions_app.events import SCHEMA_VERSION
from sessions_app.http import bodies
from sessions_app.http.bodies import WireSerializer
from sessions_app.kinds import DomainError, FieldError, FieldErrors

SOURCE = "camera_feed_worker"
NOT_AN_OBJECT = 1003

_REPEATABLE = tuple(HeaderIn().fields)


@dataclass(frozen=True, slots=True)
class Upload:
    """Everything an upload declares ahead of its frames."""

    opened: moves.Open
    metas: list[moves.FrameMeta]
    close: moves.Close


def parse(text: str) -> moves.ClientMessage:
    """What a text message says; Garbled, with the reason, if it says nothing we know."""
    if len(text.encode(errors="replace")) > limits.MAX_TEXT_BYTES:
        return moves.Garbled(f"a text message of more than {limits.MAX_TEXT_BYTES} bytes")
    try:
        members = jsonwire.loads(text)
    except DomainError as error:
        return moves.Garbled(error.detail, NOT_AN_OBJECT)
    if not isinstance(members, dict):
        return moves.Garbled("not a JSON object", NOT_AN_OBJECT)
    event = members.pop("event", None)
    if not isinstance(event, str) or event not in _READERS:
        return moves.Garbled("an unknown event")
    shape, read = _READERS[event]
    try:
        if event == "capture.frame_meta" and members.keys() == ENTRY_MEMBERS:  # 15 times a second: no serializer
            return read_entry(members)
        return read(bodies.checked(shape, members))
    except FieldErrors as error:
        return moves.Garbled(error.detail)
    except ValueError as error:
        return moves.Garbled(str(error))


def parse_upload(data: bytes) -> Upload:
    """What the `meta` part says. Raises ProtocolViolation if it is no JSON object, FieldErrors for its members."""
    try:
        document = jsonwire.loads(data)
    except MalformedJson as error:
        raise errors.ProtocolViolation(f"meta: {error.detail}") from error
    if not isinstance(document, dict):
        raise errors.ProtocolViolation("meta is not a JSON object")
    members = bodies.checked(UploadIn, document)
    return Upload(_open(members), members["frames"], moves.Close(members["timestamp_end"]))


def ack(opened: moves.Open, action: moves.Acknowledge) -> dict[str, Any]:
    """`capture.ack` with the counts accepted (GES-14)."""
    counts = {"ack": action.ack, "frames": action.frames, "bytes": action.size_bytes}
    return _message("capture.ack", opened, **counts)


def completed(opened: moves.Open, ref: FeatureRef) -> dict[str, Any]:
    """`capture.completed`, the only proof of success (GES-15)."""
    return _message(
        "capture.completed",
        opened,
        frames=ref.frames,
        dims=ref.dims,
        hash=ref.hash,
        raw_features_ref=ref.raw_features_ref,
        features_url=features_url(opened.record_id),
    )


def abort(opened: moves.Open, error: DomainError) -> dict[str, Any]:
    """`capture.abort` (GES-16, GES-26)."""
    why = {"error_code": errors.error_code(error), "detail": error.detail, "retry": errors.worth_retrying(error)}
    return _message("capture.abort", opened, **why)


def complaint(error: DomainError) -> dict[str, Any]:
    """`capture.error`: there is no capture to abort (GES-20)."""
    why = {"error_code": errors.error_code(error), "detail": error.detail}
    return {"event": "capture.error", **why, **_signature()}


def _message(event: str, opened: moves.Open, **members: Any) -> dict[str, Any]:
    who = {"record_id": opened.record_id, "user_id": opened.user_id, "session_id": opened.session_id}
    return {"event": event, **who, **_signature(), **members}


def _signature() -> dict[str, Any]:
    return {"schema_version": SCHEMA_VERSION, "timestamp": clock.stamp(clock.now()), "source": SOURCE}


def _auth(members: Mapping[str, Any]) -> moves.ClientMessage:
    return moves.Auth(members["token"])


def _open(members: Mapping[str, Any]) -> moves.Open:
    record_id = members["record_id"]
    if members.get("capture_id", record_id) != record_id:
        raise FieldErrors([FieldError("capture_id", FieldInvalid.code, "must equal record_id")])
    header = {"source": "ui", "modality": "image", "capture_id": record_id, **_repeated(members)}
    names = ("user_id", "session_id", "performer_id", "timestamp_start", "fps_target", "width", "height")
    return moves.Open(
        record_id=record_id,
        device_id=members.get("device_id"),
        intent=members.get("annotation", {}).get("intent"),
        header=header,
        **{name: members[name] for name in names},
    )


def _frame_meta(members: Mapping[str, Any]) -> moves.ClientMessage:
    own = (members["seq"], members["timestamp_frame"], members["byte_length"])
    return moves.FrameMeta(*own, repeated=_repeated(members))


def _close(members: Mapping[str, Any]) -> moves.ClientMessage:
    return moves.Close(members["timestamp_end"], repeated=_repeated(members))


def _cancel(members: Mapping[str, Any]) -> moves.ClientMessage:
    return moves.Cancel(repeated=_repeated(members))


def _repeated(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: members[name] for name in _REPEATABLE if name in members and name != "timestamp"}


_READERS: dict[str, tuple[type[WireSerializer], Callable[[Mapping[str, Any]], moves.ClientMessage]]] = {
    "capture.auth": (AuthIn, _auth),
    "capture.open": (OpenIn, _open),
    "capture.frame_meta": (FrameMetaIn, _frame_meta),
    "capture.close": (CloseIn, _close),
    "capture.cancel": (CancelIn, _cancel),
}
