"""What each frame of an authenticated client does (DEV-7): read its payload, call one verb, answer."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

from devices import presence
from devices.reception import Reception
from sessions_app import broadcast, clock, jsonwire
from sessions_app.fanout import frames
from sessions_app.protocol import Frame, Message, MessageType, is_text
from sessions_app.sockets.connection import Connection
from sessions_app.sockets.socket_errors import BadFrame, MessageTooLarge
from sessions_app.sockets.threads import cross
from sessions_app.state import canonical, committer
from sessions_app.state.operations import Operation
from sessions_app.state.patches import KEY_OPERATIONS
from sessions_app.state.state_errors import InvalidUpdate, UnknownOperation
from sessions_app.state.writes import KeyWrite

MAX_BROADCAST_BYTES: Final = 16_384
MAX_TYPE_CHARACTERS: Final = 64
ACK_WITHIN_S: Final = 5.0  # after the commit; then the ack counts as lost, and the client repeats with its op_id


async def heartbeat(one: Connection, here: Reception, message: Message) -> None:
    """HEARTBEAT_ACK; a client whose last_seq is behind gets the state as well (DEV-50)."""
    client_time, last_seq = message.payload.get("client_time"), message.payload.get("last_seq")
    if client_time is not None and not _is_number(client_time):
        raise BadFrame("client_time is a number")
    if last_seq is not None and type(last_seq) is not int:
        raise BadFrame("last_seq is an integer")
    at = int(clock.now().timestamp())
    one.answer(frames.heartbeat_ack(client_time, at=at), message.correlation_id)
    if last_seq is None or not one.session_id:
        return
    _, seq = await here.positions.of(one.session_id)
    if last_seq < seq:
        await one.send_snapshot("resync")


async def snapshot_request(one: Connection, here: Reception, message: Message) -> None:
    """SNAPSHOT_RESPONSE (DEV-38)."""
    await one.send_snapshot("request", message.correlation_id)


async def state_update(one: Connection, here: Reception, message: Message) -> None:
    """Write; the ack is the writer's copy of the frame that tells everybody (DEV-42)."""
    operation = _operation(one, message)
    ack = one.expect_ack(message.correlation_id)
    try:
        outcome = await committer.committed(operation)
    except BaseException:
        one.forget_ack()
        raise
    if not outcome.duplicate:
        await _handed_on(one, ack)
        return
    one.forget_ack()
    assert outcome.version is not None
    frame = frames.state_update(outcome.version, duplicate=True)
    if frames.fits(frame):
        one.answer(frame, message.correlation_id)
    else:
        await one.send_snapshot("resync", message.correlation_id)


async def device_list(one: Connection, here: Reception, message: Message) -> None:
    """DEVICE_LIST: who is connected, the asking device included (DEV-52)."""
    devices = await cross(presence.online, one.session_id, seen_here=here.seen_here(one.session_id))
    one.answer(frames.device_list(one.session_id, devices), message.correlation_id)


async def client_broadcast(one: Connection, here: Reception, message: Message) -> None:
    """BROADCAST to every connection of the session; the sender's copy is the answer (DEV-14)."""
    ack = one.expect_ack(message.correlation_id)
    broadcast.to_session(one.session_id, _broadcast(one, message))
    await _handed_on(one, ack)


HANDLERS: Final[dict[int, Callable[[Connection, Reception, Message], Awaitable[None]]]] = {
    MessageType.HEARTBEAT: heartbeat,
    MessageType.SNAPSHOT_REQUEST: snapshot_request,
    MessageType.STATE_UPDATE: state_update,
    MessageType.DEVICE_LIST: device_list,
    MessageType.BROADCAST: client_broadcast,
}


async def _handed_on(one: Connection, ack: asyncio.Future[None]) -> None:
    """Wait until the frame that answers has been handed to the socket (DEV-12)."""
    if not ack.done():
        try:
            async with asyncio.timeout(ACK_WITHIN_S):
                await ack
        except TimeoutError:
            one.forget_ack()


def _operation(one: Connection, message: Message) -> Operation:
    """The write a STATE_UPDATE asks for (DEV-36, DEV-37). Raises BadFrame, UnknownOperation, InvalidUpdate."""
    payload = message.payload
    operation, key, base = payload.get("operation"), payload.get("key"), payload.get("base_version")
    operation = "SET" if operation is None else operation
    if operation not in KEY_OPERATIONS:
        raise UnknownOperation
    if key is not None and not isinstance(key, str):
        raise InvalidUpdate("key is a text")
    if operation != "MERGE" and not key:
        raise InvalidUpdate(f"{operation} needs a key")
    if operation != "DELETE" and "value" not in payload:
        raise InvalidUpdate(f"{operation} needs a value")
    if base is not None and (type(base) is not int or base < 0):
        raise InvalidUpdate("base_version is an integer from 0")
    assert one.caller is not None
    return Operation(
        session_id=one.session_id,
        user_id=one.user_id,
        by=one.caller,
        device_id=one.device_id,
        op_id=message.op_id,
        origin=one.connection_id,
        write=KeyWrite(key=key or "", value=payload.get("value"), operation=operation, based_on=base),
    )


def _broadcast(one: Connection, message: Message) -> Frame:
    """The frame a client's BROADCAST becomes. Raises BadFrame, MessageTooLarge, TooDeep."""
    text, data = message.payload.get("message"), message.payload.get("data")
    if not is_text(text):
        raise BadFrame("message is a text")
    type_ = message.text("type", most=MAX_TYPE_CHARACTERS) or "message"
    if type_ in frames.RESERVED:
        raise BadFrame(f"only the server sends broadcasts of type {type_}")
    if data is not None:
        canonical.check_depth(data)
    try:
        size = len(str(text).encode()) + (0 if data is None else len(jsonwire.dumps(data)))
    except (TypeError, ValueError) as error:
        raise BadFrame("data cannot be sent on") from error
    if size > MAX_BROADCAST_BYTES:
        raise MessageTooLarge(f"message and data have {size} bytes; {MAX_BROADCAST_BYTES} are allowed")
    return frames.broadcast(type_, str(text), data, from_device=one.device_id, origin=one.connection_id)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
