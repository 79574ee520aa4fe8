"""The protobuf encoding of `/ws` (DEV-74): proto/baton.proto to the members of the JSON form and back. Pure."""

from typing import Any, Final

import orjson
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtoMessage

from sessions_app import jsonwire
from sessions_app.errors import MalformedJson
from sessions_app.proto import baton_pb2 as pb
from sessions_app.protocol import Frame, Message, MessageType, message
from sessions_app.sockets.socket_errors import BadFrame

_FROM_CLIENT: Final[dict[int, type[ProtoMessage]]] = {
    MessageType.HEARTBEAT: pb.Heartbeat,
    MessageType.SNAPSHOT_REQUEST: pb.SnapshotRequest,
    MessageType.STATE_UPDATE: pb.StateUpdate,
    MessageType.AUTH: pb.AuthRequest,
    MessageType.DEVICE_LIST: pb.DeviceList,
    MessageType.BROADCAST: pb.Broadcast,
}
_FROM_SERVER: Final[dict[int, type[ProtoMessage]]] = {
    MessageType.HEARTBEAT_ACK: pb.HeartbeatAck,
    MessageType.SNAPSHOT_RESPONSE: pb.Snapshot,
    MessageType.STATE_UPDATE: pb.StateUpdate,
    MessageType.ERROR: pb.ErrorMessage,
    MessageType.AUTH_SUCCESS: pb.AuthResponse,
    MessageType.AUTH_FAILURE: pb.AuthResponse,
    MessageType.DEVICE_JOINED: pb.DeviceJoined,
    MessageType.DEVICE_LEFT: pb.DeviceLeft,
    MessageType.DEVICE_LIST: pb.DeviceList,
    MessageType.BROADCAST: pb.Broadcast,
    MessageType.ADMIN_UPDATE: pb.AdminUpdate,
}


class ProtoCodec:
    """Binary frames, one WebSocketMessage each."""

    name = "proto"
    subprotocol = "baton.v1.proto"
    event_key = "bytes"

    def read(self, data: bytes) -> Message:
        """The message of an envelope and the payload its type names. Raises BadFrame."""
        try:
            envelope = pb.WebSocketMessage.FromString(data)
        except DecodeError as error:
            raise BadFrame("not a WebSocketMessage") from error
        ids = {name: getattr(envelope, name) or None for name in ("session_id", "user_id", "device_id")}
        bare = message({"type": int(envelope.type), "correlation_id": envelope.correlation_id or None, **ids})
        shape = _FROM_CLIENT.get(bare.type)
        if shape is None:
            return bare
        try:
            payload = _members(shape.FromString(envelope.payload))
        except (DecodeError, MalformedJson) as error:
            known = {"correlation_id": bare.correlation_id} if bare.correlation_id else {}
            raise BadFrame(f"the payload is not a {shape.DESCRIPTOR.name}", **known) from error
        return Message(bare.type, payload, bare.correlation_id, bare.session_id, bare.user_id, bare.device_id)

    def identity(self, session_id: str | None, user_id: str | None, device_id: str | None) -> bytes:
        """The fields of the ids; serialised messages that follow each other are one message."""
        return pb.WebSocketMessage(session_id=session_id, user_id=user_id, device_id=device_id).SerializeToString()

    def write(self, frame: Frame, identity: bytes, correlation_id: str | None, at: int) -> bytes:
        """One WebSocketMessage; the payload is serialised for the first connection and kept."""
        if frame.proto is None:
            frame.proto = _payload(frame)
        envelope = pb.WebSocketMessage(timestamp=at, payload=frame.proto, correlation_id=correlation_id)
        envelope.type = frame.type  # type: ignore[assignment]  # the enumerations have the same numbers
        return identity + envelope.SerializeToString()


PROTO: Final = ProtoCodec()


def _members(source: ProtoMessage) -> dict[str, Any]:
    """What is set, by name; JSON in bytes is parsed. Raises MalformedJson."""
    return {field.name: _value(field, value) for field, value in source.ListFields()}


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.label == FieldDescriptor.LABEL_REPEATED:
        return list(value) if field.message_type is None else [_members(one) for one in value]
    if field.type == FieldDescriptor.TYPE_BYTES:
        return jsonwire.loads(value, unstorable=True)
    if field.message_type is not None:
        # Within a message a zero is a value: the seq of a `resume` may well be one.
        return {one.name: getattr(value, one.name) for one in field.message_type.fields}
    return value


def _payload(frame: Frame) -> bytes:
    members = dict(frame.payload)
    if frame.type in (MessageType.AUTH_SUCCESS, MessageType.AUTH_FAILURE):
        members |= {"success": frame.type == MessageType.AUTH_SUCCESS, "error_message": members.get("message")}
    target = _FROM_SERVER[frame.type]()
    _fill(target, members)
    if frame.type == MessageType.STATE_UPDATE and members["operation"] == "SET":
        target.value = orjson.dumps(members["value"])  # type: ignore[attr-defined]  # null is a value here
    return target.SerializeToString()


def _fill(target: ProtoMessage, members: dict[str, Any]) -> None:
    """Set what is there and not null."""
    for field in target.DESCRIPTOR.fields:
        value = members.get(field.name)
        if value is None:
            continue
        if field.label == FieldDescriptor.LABEL_REPEATED and field.message_type is None:
            getattr(target, field.name).extend(value)
        elif field.label == FieldDescriptor.LABEL_REPEATED:
            for one in value:
                _fill(getattr(target, field.name).add(), one)
        elif field.message_type is not None:
            getattr(target, field.name).SetInParent()
            _fill(getattr(target, field.name), value)
        elif field.type == FieldDescriptor.TYPE_BYTES:
            setattr(target, field.name, orjson.dumps(value))
        else:
            setattr(target, field.name, value)
