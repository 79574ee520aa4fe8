"""The events of a session log as plain dicts, and the rules all of them keep (SES-23 to SES-29, SES-41). Pure."""

import datetime as dt
import re
from operator import itemgetter
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
MAX_NESTING = 32

_FORMS = {  # of the required members; none admits a line break
    "schema_version": r"1\.\d+\.\d+",
    "record_id": ids.UUID4_FORM,
    "user_id": ids.ACTOR_FORM,
    "session_id": ids.SESSION_FORM,
    "timestamp": clock.STAMP_FORM,
    "source": r"[a-z][a-z0-9_]{0,63}",
    "performer_id": ids.ACTOR_FORM,
    "event": r"[a-z][a-z0-9_.]{0,63}",
}
REQUIRED = tuple(_FORMS)
_HAS_FORM = {name: re.compile(form, re.ASCII).fullmatch for name, form in _FORMS.items()}
# All of them, one per line: every append asks, and one match costs less than eight.
_HAVE_FORM = re.compile("\n".join(_FORMS.values()), re.ASCII).fullmatch
_required_of = itemgetter(*REQUIRED)
_read_time = dt.datetime.fromisoformat
_MEDIA = ("data:image/", "data:video/", "data:audio/")
_MEDIA_LENGTH = max(map(len, _MEDIA))
_MEDIA_MEMBERS = ("frame_data", "audio_payload")


def _in_either_case(word: str) -> str:
    return "".join(f"[{letter}{letter.upper()}]" if letter.isalpha() else letter for letter in word)


# The beginnings of strings with media and of members that hold it; JSON escapes no letter of them. Their first letters
# stand before the alternatives, or each string of a line would be held against all of them.
_MARKS = ("data:", *_MEDIA_MEMBERS)
_MAY_BE_MEDIA = re.compile(
    '"[{}](?:{})'.format(
        "".join(mark[0] + mark[0].upper() for mark in _MARKS), "|".join(_in_either_case(mark[1:]) for mark in _MARKS)
    ).encode()
).search


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
    try:
        well_formed = _HAVE_FORM("\n".join(_required_of(event)))
    except (KeyError, TypeError):
        well_formed = None
    if not well_formed:
        raise EventInvalid(_first_fault(event))
    try:
        _read_time(event["timestamp"])
    except ValueError:
        raise EventInvalid("timestamp is not in the calendar") from None
    if event.get("modality") not in MODALITIES:
        raise EventInvalid("modality is unknown")
    if event["event"] in BOUNDARIES and event["source"] != BOUNDARY_SOURCE:
        raise EventInvalid("a boundary comes from the session manager alone")


def _first_fault(event: Event) -> str:
    for name, has_form in _HAS_FORM.items():
        value = event.get(name)
        if not isinstance(value, str) or not value.strip():
            return f"{name} is missing or blank"
        if not has_form(value):
            return f"{name} has the wrong form"
    raise AssertionError("each member has its form, yet all together have not")


def is_source(value: object) -> bool:
    """Whether `value` may name the source of an event (SES-48)."""
    return isinstance(value, str) and _HAS_FORM["source"](value) is not None


def is_kind(value: object) -> bool:
    """Whether `value` may name the kind of an event (SES-48)."""
    return isinstance(value, str) and _HAS_FORM["event"](value) is not None


def is_suspect(encoded: bytes, *, is_flat: bool) -> bool:
    """Whether an event, `encoded` as JSON, may have a `forbidden_payload`: the bytes of most tell at once."""
    if _MAY_BE_MEDIA(encoded):
        return True
    return not is_flat and encoded.count(b"{") + encoded.count(b"[") > MAX_NESTING


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
    members = (*value, *value.values()) if isinstance(value, dict) else value  # a name is a string, too
    return next((why for member in members if (why := forbidden_payload(member, level + 1))), None)
