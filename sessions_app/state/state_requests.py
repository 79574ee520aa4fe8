"""HTTP requests read as operations on a state: shape, rights, headers (STA-7 to STA-12, STA-23, STA-55).

Both ways in, the raw routes and the documented views, read a request here and nowhere else.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sessions_app import ids, jsonwire
from sessions_app.access.auth import Caller
from sessions_app.errors import FieldForbidden, FieldInvalid, FieldMissing, MalformedJson, SessionIdInvalid
from sessions_app.http import bodies
from sessions_app.http.bodies import WireSerializer
from sessions_app.kinds import DomainError, FieldError, FieldErrors, UnsupportedMedia
from sessions_app.state import canonical, patches, preconditions
from sessions_app.state.idempotency import Repeat
from sessions_app.state.operations import Operation
from sessions_app.state.preconditions import Precondition, Tags
from sessions_app.state.state_serializers import ResolveConflictIn, SaveSnapshotIn, UpdateStateIn
from sessions_app.state.writes import JsonPatch, MergePatch, Replace, Resolve, Update, Write

JSON: Final = "application/json"
PATCHES: Final[Mapping[str, Callable[[Any], Write]]] = {
    "application/merge-patch+json": MergePatch,
    "application/json-patch+json": JsonPatch,
}
DEFAULT_PAGE, MOST_PER_PAGE = 50, 200  # STA-53
_DIGITS = re.compile(r"[0-9]{1,16}\Z")
_KEY = re.compile(r"[\x21-\x7e]{1,128}\Z")
_MEDIA = re.compile(r'\s*([^\s;]+)\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?\Z', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated HTTP request."""

    caller: Caller
    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes


def save_snapshot(call: Call) -> Operation:
    """`POST /session/snapshot`. Raises FieldErrors, MalformedJson, UserNotAllowed, UnsupportedMedia."""
    members = _members(call, SaveSnapshotIn)
    call.caller.must_act_for(members["user_id"])
    return _operation(call, members, Replace(members["state_data"], members.get("version")))


def update_state(call: Call) -> Operation:
    """`POST /session/incremental`. Raises what save_snapshot raises, and InvalidUpdate."""
    members = _members(call, UpdateStateIn)
    write = Update(members["base_version"], members.get("changes", {}), members.get("deleted_keys", ()))
    patches.check_update(write.changes, write.deleted_keys)
    call.caller.must_act_for(members["user_id"])
    return _operation(call, members, write)


def resolve_conflict(call: Call) -> Operation:
    """`POST /session/conflict/resolve`. Raises FieldErrors, InvalidUpdate, MalformedJson, UnsupportedMedia."""
    members = _members(call, ResolveConflictIn)
    deleted_keys, strategy = members.get("deleted_keys", ()), members["resolution_strategy"]
    if deleted_keys and strategy != "merge":
        raise FieldErrors([FieldError("deleted_keys", FieldForbidden.code, "only goes with the strategy merge")])
    patches.check_disjoint(members["client_state"], deleted_keys)
    write = Resolve(members["client_version"], members["client_state"], strategy, deleted_keys)
    return _operation(call, members, write)


def patch_state(call: Call, session_id: str) -> Operation:
    """`PATCH /session/{id}`. Raises UnsupportedMedia, MalformedJson, SessionIdInvalid, FieldErrors."""
    write_of = PATCHES.get(_media_type(call))
    if write_of is None:
        raise UnsupportedMedia(accept_patch=", ".join(PATCHES))
    if not ids.is_session_id(session_id):
        raise SessionIdInvalid
    write = write_of(jsonwire.loads(call.body, unstorable=True))
    return _operation(call, {"session_id": session_id}, write)


def held_tags(call: Call) -> Tags | None:
    """The versions a reader holds (STA-26). Raises FieldErrors."""
    return preconditions.read("If-None-Match", call.headers.get("if-none-match"))


def asked_version(query: Mapping[str, str]) -> int | None:
    """`?version=n` (STA-27). Raises FieldErrors."""
    return _whole(query, "version", least=1)


def asked_page(query: Mapping[str, str]) -> tuple[int, int | None]:
    """`?limit` and `?before` (STA-53). Raises FieldErrors."""
    limit = _whole(query, "limit", least=1, most=MOST_PER_PAGE)
    return DEFAULT_PAGE if limit is None else limit, _whole(query, "before", least=1)


def asked_difference(query: Mapping[str, str]) -> tuple[int, int | None]:
    """`?from` and `?to` (STA-54). Raises FieldErrors."""
    start = _whole(query, "from", least=0)
    if start is None:
        raise FieldErrors([FieldError("from", FieldMissing.code, "is required")])
    return start, _whole(query, "to", least=0)


def _whole(query: Mapping[str, str], name: str, *, least: int, most: int = 2**53 - 1) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not _DIGITS.match(text) or not least <= int(text) <= most:
        raise FieldErrors([FieldError(name, FieldInvalid.code, f"must be an integer from {least} to {most}")])
    return int(text)


def _members(call: Call, shape: type[WireSerializer]) -> dict[str, Any]:
    if _media_type(call) != JSON:
        raise UnsupportedMedia
    body = jsonwire.loads(call.body, unstorable=True)  # in a state they have a code of their own (STA-17)
    if not isinstance(body, dict):
        raise MalformedJson("The body is not a JSON object.")
    return bodies.checked(shape, body)


def _media_type(call: Call) -> str:
    match = _MEDIA.match(call.headers.get("content-type", ""))
    return match[1].lower() if match else ""


def _operation(call: Call, members: Mapping[str, Any], write: Write) -> Operation:
    return Operation(
        session_id=members["session_id"],
        user_id=members.get("user_id"),
        by=call.caller,
        write=write,
        device_id=members.get("device_id") or call.caller.device_id or _device_header(call),
        app_version=members.get("app_version"),
        precondition=_precondition(call.headers),
        repeat=_repeat(call, members.get("user_id")),
        sent_bytes=len(call.body),
    )


def _device_header(call: Call) -> str | None:
    value = call.headers.get("x-device-id")
    if value is not None and not ids.is_actor_id(value):
        raise FieldErrors([FieldError("X-Device-ID", FieldInvalid.code, "has the wrong form")])
    return value


def _precondition(headers: Mapping[str, str]) -> Precondition:
    if "if-match" not in headers and "if-none-match" not in headers:
        return preconditions.NONE
    return Precondition(
        preconditions.read("If-Match", headers.get("if-match")),
        preconditions.read("If-None-Match", headers.get("if-none-match")),
    )


def idempotency_key(value: str | None) -> str | None:
    """The value of an Idempotency-Key header (STA-18). Raises FieldErrors."""
    if value is not None and not _KEY.match(value):
        raise FieldErrors([FieldError("Idempotency-Key", FieldInvalid.code, "has 1 to 128 visible ASCII characters")])
    return value


def _repeat(call: Call, user_id: str | None) -> Repeat | None:
    key = idempotency_key(call.headers.get("idempotency-key"))
    if key is None:
        return None
    caller = call.caller
    scope = f"service {caller.service}" if caller.service else f"user {caller.user_id or user_id or ''}"
    return Repeat(scope, key, _digest(call))


def _digest(call: Call) -> bytes:
    """What the key stands for: method, path, media type, canonical body (STA-56)."""
    try:
        body = canonical.encoded(jsonwire.loads(call.body), depth=0)  # one level above the state it carries
    except DomainError:
        body = call.body  # no canonical form: then the very bytes
    head = f"{call.method} {call.path} {_media_type(call)}\n"
    return hashlib.sha256(head.encode() + body).digest()
