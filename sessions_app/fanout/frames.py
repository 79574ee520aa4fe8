"""Every frame the server sends on `/ws`, built from values (DEV-13 to DEV-73). Pure but for the time of a broadcast."""

import json
import secrets
from typing import Any, Final

import orjson

from sessions_app import clock, jsonwire
from sessions_app.kinds import DomainError
from sessions_app.protocol import ENVELOPE_BYTES, MAX_MESSAGE_BYTES, Frame, MessageType
from sessions_app.state import canonical
from sessions_app.state.versions import Snapshot, Version

MOST_PAYLOAD_BYTES: Final = MAX_MESSAGE_BYTES - ENVELOPE_BYTES
# Types of BROADCAST and ADMIN_UPDATE that only the server sends (DEV-72).
RESERVED: Final = frozenset(
    {
        "handoff_complete", "session_ended", "server_restart", "chat_message", "pod_state", "connection_opened",
        "connection_closed", "session_started", "metrics",
    }
)  # fmt: skip
HEARTBEAT_S: Final = 30  # between two of a client's heartbeats


def heartbeat_ack(client_time: Any, *, at: int) -> Frame:
    """HEARTBEAT_ACK; `client_time` goes back as it came, be it longer than any machine word."""
    return Frame(MessageType.HEARTBEAT_ACK, json=f'{{"server_time":{at},"client_time":{json.dumps(client_time)}}}')


def auth_success(
    *,
    session_id: str | None,
    user_id: str,
    device_id: str | None,
    connection_id: str,
    expires_at: int | None,
    position: tuple[str | None, int],
    recovered: bool,
    limits: dict[str, int],
    is_admin: bool,
) -> Frame:
    """AUTH_SUCCESS (DEV-22, DEV-71); `position` is the state's epoch and seq, `expires_at` in Unix seconds."""
    epoch, seq = position
    payload = {
        "session_id": session_id,
        "user_id": user_id,
        "device_id": device_id,
        "connection_id": connection_id,
        "new_token": None,
        "expires_at": expires_at,
        "heartbeat_interval": HEARTBEAT_S,
        "version": seq,
        "seq": seq,
        "epoch": epoch,
        "recovered": recovered,
        "limits": limits,
        **({"channel": "admin"} if is_admin else {}),
    }
    return Frame(MessageType.AUTH_SUCCESS, payload)


def error(problem: DomainError, *, recoverable: bool = True) -> Frame:
    """ERROR (DEV-65); not `recoverable` if the connection closes because of it."""
    payload: dict[str, Any] = {
        "code": problem.status,
        "error": problem.code,
        "message": problem.detail,
        "details": "",
        "recoverable": recoverable,
    }
    if problem.retry_after is not None:
        payload["retry_after"] = problem.retry_after
    if conflict := problem.members.get("conflict"):
        payload["conflict"] = {name: value for name, value in conflict.items() if name != "server_state"}
    return Frame(MessageType.ERROR, payload)


def auth_failure(problem: DomainError) -> Frame:
    """AUTH_FAILURE (DEV-20)."""
    payload = {"code": problem.status, "error": problem.code, "message": problem.detail}
    return Frame(MessageType.AUTH_FAILURE, payload)


def device_joined(device: dict[str, Any]) -> Frame:
    """DEVICE_JOINED; `device` is a DeviceInfo (DEV-34)."""
    return Frame(MessageType.DEVICE_JOINED, {"device": device})


def device_left(device_id: str, reason: str) -> Frame:
    """DEVICE_LEFT; the reasons are those of DEV-30."""
    return Frame(MessageType.DEVICE_LEFT, {"device_id": device_id, "reason": reason})


def device_list(session_id: str, devices: list[dict[str, Any]]) -> Frame:
    """DEVICE_LIST (DEV-52)."""
    return Frame(MessageType.DEVICE_LIST, {"session_id": session_id, "devices": devices, "count": len(devices)})


def broadcast(
    type: str,
    message: str,
    data: Any = None,
    *,
    from_device: str | None = None,
    origin: str | None = None,
    recipient: str | None = None,
) -> Frame:
    """BROADCAST (DEV-14), to the device `recipient` alone if one is named."""
    payload = {**_announcement(type, message, data), "from_device": from_device}
    payload["sent_at"] = payload.pop("sent_at")
    return Frame(MessageType.BROADCAST, payload, origin=origin, recipient=recipient)


def admin_update(type: str, message: str, data: Any = None) -> Frame:
    """ADMIN_UPDATE (DEV-72)."""
    return Frame(MessageType.ADMIN_UPDATE, _announcement(type, message, data))


def of_version(version: Version, snapshot: Snapshot | None, *, origin: str | None = None) -> Frame:
    """What tells of a version: its STATE_UPDATE, or the state itself where that would be too long (DEV-40)."""
    frame = state_update(version, origin=origin)
    if fits(frame):
        return frame
    return snapshot_response(snapshot, session_id=version.session_id, reason="resync", origin=origin)


def fits(frame: Frame) -> bool:
    """Whether the frame is short enough to be sent (DEV-40)."""
    return len(frame.json) <= MOST_PAYLOAD_BYTES // 4 or len(frame.json.encode()) <= MOST_PAYLOAD_BYTES


def state_update(version: Version, *, duplicate: bool = False, origin: str | None = None) -> Frame:
    """STATE_UPDATE for an entry of the operation log (DEV-45). The canonical texts go in as they are."""
    key, operation, value = "", "MERGE", None
    set_keys, deleted = list(orjson.loads(version.changes)), version.deleted_keys
    if len(set_keys) == 1 and not deleted:
        key, operation = set_keys[0], "SET"
        value = orjson.Fragment(version.changes[len(canonical.encoded(key)) + len("{:") : -1])
    elif len(deleted) == 1 and not set_keys:
        key, operation = deleted[0], "DELETE"
    members = {
        "key": key,
        "value": value,
        "operation": operation,
        "changes": orjson.Fragment(version.changes),
        "deleted_keys": deleted,
        "version": version.version,
        "seq": version.version,
        "epoch": version.epoch,
        "checksum": version.checksum,
        "device_id": version.device_id,
        "performer_id": version.performer_id,
        "op_id": version.op_id,
        "source": version.source,
        "duplicate": duplicate,
    }
    effect = _text(members)
    return Frame(MessageType.STATE_UPDATE, json=effect, epoch=version.epoch, seq=version.version, origin=origin)


def snapshot_response(snapshot: Snapshot | None, *, session_id: str, reason: str, origin: str | None = None) -> Frame:
    """SNAPSHOT_RESPONSE (DEV-38 to DEV-40); None is a session without a state."""
    state = canonical.EMPTY.canonical if snapshot is None else snapshot.canonical
    members = _empty_state() if snapshot is None else _state(snapshot)
    too_large = len(state) + ENVELOPE_BYTES > MOST_PAYLOAD_BYTES
    text = "null" if too_large else state.decode()
    tail = _text({**members, "too_large": too_large, "reason": reason})[1:]
    payload = f'{{"session_id":{_text(session_id)},"state_data":{text},{tail}'
    epoch, seq = (None, 0) if snapshot is None else (snapshot.epoch, snapshot.version)
    return Frame(MessageType.SNAPSHOT_RESPONSE, json=payload, epoch=epoch, seq=seq, origin=origin)


def _state(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "created_at": int(snapshot.created_at.timestamp()),
        "last_updated": int(snapshot.last_updated.timestamp()),
        "expires_at": int(snapshot.expires_at.timestamp()),
        "device_id": snapshot.device_id,
        "app_version": snapshot.app_version,
        "version": snapshot.version,
        "seq": snapshot.version,
        "epoch": snapshot.epoch,
        "checksum": snapshot.checksum,
    }


def _empty_state() -> dict[str, Any]:
    absent = dict.fromkeys(("created_at", "last_updated", "expires_at", "device_id", "app_version"))
    return {**absent, "version": 0, "seq": 0, "epoch": None, "checksum": canonical.EMPTY.checksum}


def _announcement(type: str, message: str, data: Any) -> dict[str, Any]:
    return {
        "id": f"b-{secrets.token_hex(6)}",
        "type": type,
        "message": message,
        "data": data,
        "sent_at": clock.stamp(clock.now()),
    }


def _text(value: Any) -> str:
    return jsonwire.dumps(value).decode()
