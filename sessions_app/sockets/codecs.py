"""The two encodings of `/ws` (DEV-2, DEV-7, DEV-74): bytes to Message, Frame to bytes. Pure.

A frame's payload is encoded once for all connections; around it each one puts its own envelope, whose ids are encoded
once for the connection.
"""

import json
from typing import Any, Final, Protocol, TypeVar

from sessions_app import jsonwire, protocol
from sessions_app.errors import MalformedJson
from sessions_app.protocol import Frame, Message
from sessions_app.sockets.protowire import PROTO
from sessions_app.sockets.socket_errors import BadFrame

Wire = TypeVar("Wire", str, bytes)


class Codec(Protocol[Wire]):
    """One encoding; `event_key` is where ASGI carries it."""

    name: str
    subprotocol: str
    event_key: str

    def read(self, data: Wire) -> Message:
        """What the client sent. Raises BadFrame, TooDeep."""

    def identity(self, session_id: str | None, user_id: str | None, device_id: str | None) -> Wire:
        """The ids of a connection as they stand in each of its envelopes; None are left out."""

    def write(self, frame: Frame, identity: Wire, correlation_id: str | None, at: int) -> Wire:
        """The frame for one connection; `at` in Unix seconds."""


class JsonCodec:
    """Text frames."""

    name = "json"
    subprotocol = "baton.v1.json"
    event_key = "text"

    def read(self, data: str) -> Message:
        """A strict JSON object; lone surrogates pass, for whoever reads the member to refuse (STA-17)."""
        try:
            members = jsonwire.loads(data, unstorable=True)
        except MalformedJson as error:
            raise BadFrame(error.detail) from error
        return protocol.message(members)

    def identity(self, session_id: str | None, user_id: str | None, device_id: str | None) -> str:
        """Members with a comma behind each; ids need no escapes (CON-1, CON-2)."""
        ids = {"session_id": session_id, "user_id": user_id, "device_id": device_id}
        return "".join(f'"{name}":"{value}",' for name, value in ids.items() if value is not None)

    def write(self, frame: Frame, identity: str, correlation_id: str | None, at: int) -> str:
        """One JSON object."""
        answers = "" if correlation_id is None else f'"correlation_id":{json.dumps(correlation_id)},'
        return f'{{"type":{frame.type:d},{identity}"timestamp":{at},{answers}"payload":{frame.json}}}'


JSON: Final = JsonCodec()
CODECS: Final[dict[str, Any]] = {codec.subprotocol: codec for codec in (JSON, PROTO)}


def chosen(offered: list[str]) -> tuple[Any, str | None] | None:
    """The codec for the subprotocols a client offers, and the one to echo; None if it knows none of ours."""
    if not offered:
        return JSON, None
    return next(((CODECS[name], name) for name in offered if name in CODECS), None)
