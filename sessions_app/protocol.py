"""The `/ws` protocol in values (DEV-7 to DEV-12): message types, what a client sent, what goes to clients. Pure.

codecs.py turns these into JSON or protobuf and back; frames.py builds every frame there is.
"""

import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, NamedTuple

import orjson

from sessions_app import jsonwire
from sessions_app.sockets.socket_errors import BadFrame, IdentityMismatch, UnknownType

MAX_MESSAGE_BYTES: Final = 524_288  # DEV-6, from the server
ENVELOPE_BYTES: Final = 1024  # room for the longest ids and correlation_id around a payload
MAX_CORRELATION_CHARACTERS: Final = 64

_OP_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")


class MessageType(IntEnum):
    """The numbers of DEV-7; 0 is never valid."""

    HEARTBEAT = 1
    HEARTBEAT_ACK = 2
    SNAPSHOT_REQUEST = 3
    SNAPSHOT_RESPONSE = 4
    STATE_UPDATE = 5
    ERROR = 6
    AUTH = 7
    AUTH_SUCCESS = 8
    AUTH_FAILURE = 9
    DEVICE_JOINED = 10
    DEVICE_LEFT = 11
    DEVICE_LIST = 12
    BROADCAST = 13
    ADMIN_UPDATE = 14


FROM_CLIENT: Final = frozenset(
    {
        MessageType.HEARTBEAT,
        MessageType.SNAPSHOT_REQUEST,
        MessageType.STATE_UPDATE,
        MessageType.AUTH,
        MessageType.DEVICE_LIST,
        MessageType.BROADCAST,
    }
)


@dataclass(frozen=True, slots=True)
class Message:
    """What a client sent: well-formed, but of any type and with any members."""

    type: int
    payload: dict[str, Any] = field(default_factory=dict)
    correlation_id: str | None = None
    session_id: Any = None
    user_id: Any = None
    device_id: Any = None

    def check_type(self) -> None:
        """Raises UnknownType unless a client may send this type (DEV-11)."""
        if self.type not in FROM_CLIENT:
            raise UnknownType(f"a client sends no frame of type {self.type}")

    def check_identity(self, session_id: str | None, user_id: str, device_id: str | None) -> None:
        """Raises IdentityMismatch if the envelope names another session, user or device (DEV-10)."""
        named = (self.session_id, session_id), (self.user_id, user_id), (self.device_id, device_id)
        for given, own in named:
            if given is not None and given != own:
                raise IdentityMismatch

    def text(self, name: str, *, most: int) -> str | None:
        """An optional text of the payload, null counting as absent. Raises BadFrame."""
        value = self.payload.get(name)
        if value is None:
            return None
        if not is_text(value) or len(value) > most:
            raise BadFrame(f"{name} is a text of at most {most} characters")
        return str(value)

    @property
    def op_id(self) -> str | None:
        """The name of a write that may be repeated (DEV-44). Raises BadFrame."""
        value = self.payload.get("op_id")
        if value is not None and not (isinstance(value, str) and _OP_ID.match(value)):
            raise BadFrame("op_id has 1 to 64 of A-Z a-z 0-9 . _ : -")
        return value


def message(members: Any) -> Message:
    """The client's message in a decoded document. Raises BadFrame, with the correlation_id if that could be read."""
    if not isinstance(members, dict):
        raise BadFrame("the frame is no object")
    correlation_id, payload = members.get("correlation_id"), members.get("payload")
    if correlation_id is not None and not _is_correlation_id(correlation_id):
        raise BadFrame(f"correlation_id is a text of at most {MAX_CORRELATION_CHARACTERS} characters")
    known = {} if correlation_id is None else {"correlation_id": correlation_id}
    if type(members.get("type")) is not int:
        raise BadFrame("type is an integer", **known)
    if payload is not None and not isinstance(payload, dict):
        raise BadFrame("payload is an object", **known)
    return Message(
        type=members["type"],
        payload=payload or {},
        correlation_id=correlation_id,
        session_id=members.get("session_id"),
        user_id=members.get("user_id"),
        device_id=members.get("device_id"),
    )


def is_text(value: object) -> bool:
    """Whether `value` is a string that UTF-8 can hold."""
    return isinstance(value, str) and _SURROGATE.search(value) is None


def _is_correlation_id(value: object) -> bool:
    return isinstance(value, str) and is_text(value) and len(value) <= MAX_CORRELATION_CHARACTERS


class Frame:
    """One message to clients. Each encoding of its payload is made once, when the first connection needs it.

    A frame about state has `epoch` and `seq`. `origin` is the connection whose request this frame answers: its copy,
    and no other, carries the correlation_id (DEV-14, DEV-42). `recipient` is the one device it is for, if not for all.
    """

    __slots__ = ("_json", "_payload", "epoch", "origin", "proto", "recipient", "seq", "type")

    def __init__(
        self,
        type: MessageType,
        payload: dict[str, Any] | None = None,
        *,
        json: str | None = None,
        epoch: str | None = None,
        seq: int = 0,
        origin: str | None = None,
        recipient: str | None = None,
    ) -> None:
        """The payload as members or as their JSON text; at least one of the two."""
        self.type = type
        self._payload = payload
        self._json = json
        self.proto: bytes | None = None  # kept here by codecs.PROTO
        self.epoch = epoch
        self.seq = seq
        self.origin = origin
        self.recipient = recipient

    def __repr__(self) -> str:
        return f"<{self.type.name} {self.epoch}/{self.seq}>" if self.epoch else f"<{self.type.name}>"

    @property
    def payload(self) -> dict[str, Any]:
        """The members of the payload."""
        if self._payload is None:
            self._payload = orjson.loads(self._json or "{}")
        return self._payload

    @property
    def json(self) -> str:
        """The payload as JSON text."""
        if self._json is None:
            self._json = jsonwire.dumps(self._payload).decode()
        return self._json

    @property
    def is_state(self) -> bool:
        """Whether the frame has a place in the order of the session's state."""
        return self.epoch is not None


class Notice(NamedTuple):
    """What processes tell each other and no client sees: a kind, and data that JSON can carry."""

    kind: str
    data: dict[str, Any]
