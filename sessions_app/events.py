"""The events of a session log as plain dicts, and the rules all of them keep (SES-23 to SES-29, SES-41). Pure."""

import datetime as dt
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sessions_app import clock, ids

if TYPE_CHECKING:
    from sessions_app.models import Session

Event = dict[str, Any]

SCHEMA_VERSION = "1.0.1"
BOUNDARY_SOURCE = "session_manager"
START, END = "session.start", "session.end"
BOUNDARIES = (START, END)
MODALITIES = (None, "gesture", "audio", "speech", "image", "multimodal")
REQUIRED = (
    "schema_version", "record_id", "user_id", "session_id", "timestamp", "source", "performer_id", "event",
)  # fmt: skip
MAX_NESTING = 32

_SCHEMA = re.compile(r"\d+\.\d+\.\d+\Z", re.ASCII)
_SOURCE = re.compile(r"[a-z][a-z0-9_]{0,63}\Z", re.ASCII)
_EVENT = re.compile(r"[a-z][a-z0-9_.]{0,63}\Z", re.ASCII)
_WIRE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z", re.ASCII)  # as clock.stamp writes it
_MEDIA = ("data:image/", "data:video/", "data:audio/")
_MEDIA_LENGTH = max(map(len, _MEDIA))
_MEDIA_MEMBERS = ("frame_data", "audio_payload")


class EventInvalid(ValueError):
    """An event breaks its schema; `args[0]` says how."""


def session_start(session: "Session") -> Event:
    """The event that opens `session`'s log (SES-9); timestamp and start_time are one instant (SES-11)."""
    at = clock.stamp(session.start_time)
    return {
        **_header(session, record_id=session.start_record_id, timestamp=at, performer_id=session.performer_id),
        "event": START,
        "start_time": at,
        "is_training_data": session.is_training_data,
        "session_notes": session.session_notes,
        "training_intent_label": session.training_intent_label,
        "device_id": session.device_id,
        "consent_given": session.consent_given,
        "is_demo": session.is_demo,
    }


def session_end(session: "Session", *, at: str, performer_id: str, reason: str) -> Event:
    """The event that closes `session`'s log (SES-15), with a fresh record_id (SES-26); `at` is a wire time."""
    return {
        **_header(session, record_id=ids.new_record_id(), timestamp=at, performer_id=performer_id),
        "event": END,
        "end_time": at,
        "end_reason": reason,
    }


def _header(session: "Session", *, record_id: object, timestamp: str, performer_id: str) -> Event:
    return {
        "schema_version": SCHEMA_VERSION,
        "record_id": str(record_id),
        "user_id": session.user_id,
        "session_id": session.session_id,
        "timestamp": timestamp,
        "modality": None,
        "source": BOUNDARY_SOURCE,
        "performer_id": performer_id,
    }


def check(event: Event) -> None:
    """Hold `event` against its schema (SES-29, SES-41) before anything is written. Raises EventInvalid."""
    for name in REQUIRED:
        if not isinstance(event.get(name), str) or not event[name].strip():
            raise EventInvalid(f"{name} is missing or blank")
    for name, has_form in _FORMS.items():
        if not has_form(event[name]):
            raise EventInvalid(f"{name} has the wrong form")
    if event.get("modality") not in MODALITIES:
        raise EventInvalid("modality is unknown")
    if event["event"] in BOUNDARIES and event["source"] != BOUNDARY_SOURCE:
        raise EventInvalid("a boundary comes from the session manager alone")


def is_source(value: object) -> bool:
    """Whether `value` may name the source of an event (SES-48)."""
    return isinstance(value, str) and _SOURCE.match(value) is not None


def is_kind(value: object) -> bool:
    """Whether `value` may name the kind of an event (SES-48)."""
    return isinstance(value, str) and _EVENT.match(value) is not None


def _is_schema_version(value: str) -> bool:
    return _SCHEMA.match(value) is not None and value.startswith("1.")


def _is_wire_time(value: str) -> bool:
    if _WIRE_TIME.match(value) is None:
        return False
    try:
        dt.datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


_FORMS: dict[str, Callable[[str], bool]] = {
    "schema_version": _is_schema_version,
    "record_id": ids.is_uuid4,
    "user_id": ids.is_actor_id,
    "session_id": ids.is_session_id,
    "performer_id": ids.is_actor_id,
    "source": is_source,
    "event": is_kind,
    "timestamp": _is_wire_time,
}


def forbidden_payload(value: Any, level: int = 1) -> str | None:
    """Why `value` may not stand in a log (SES-47): media, or nesting deeper than 32 levels; None if it may."""
    if isinstance(value, str):
        return "media in a string" if value[:_MEDIA_LENGTH].lower().startswith(_MEDIA) else None
    if not isinstance(value, dict | list):
        return None
    if level > MAX_NESTING:
        return f"nesting deeper than {MAX_NESTING} levels"
    if isinstance(value, dict):
        for name in _MEDIA_MEMBERS:
            if name in value:
                return f"a member named {name}"
    members = value.values() if isinstance(value, dict) else value
    return next((why for member in members if (why := forbidden_payload(member, level + 1))), None)
