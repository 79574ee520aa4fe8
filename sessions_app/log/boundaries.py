"""Whether an event that was read from a log can be the start or the end of its session: only then is it relied on.

What the recorder wrote always can. Another line may have been copied there, or written by somebody else.
"""

from collections.abc import Callable

from sessions_app import clock, events, ids
from sessions_app.events import Event
from sessions_app.models import Session

_Fits = Callable[[object], bool]


def fault(event: Event, *, user_id: str, session_id: str) -> str | None:
    """Why a boundary event cannot be that of this session; None if it can."""
    try:
        events.check(event)
    except events.EventInvalid as error:
        return str(error)
    if (event["user_id"], event["session_id"]) != (user_id, session_id):
        return "it names another session"
    unfit = (name for name, fits in _MEMBERS[event["event"]].items() if not fits(event.get(name)))
    return next((f"{name} has the wrong form" for name in unfit), None)


def _or_none(fits: _Fits) -> _Fits:
    return lambda value: value is None or fits(value)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value  # which PostgreSQL does not keep


def _is_label(value: object) -> bool:
    return _is_text(value) and len(str(value)) <= (Session._meta.get_field("training_intent_label").max_length or 0)


def _is_reason(value: object) -> bool:
    return value in Session.EndReason.values


# What rows are made of, beside the members every event has.
_MEMBERS: dict[str, dict[str, _Fits]] = {
    events.START: {
        "start_time": clock.is_stamp,
        "is_training_data": _or_none(_is_flag),
        "session_notes": _or_none(_is_text),
        "training_intent_label": _or_none(_is_label),
        "device_id": _or_none(ids.is_actor_id),
        "consent_given": _or_none(_is_flag),
        "is_demo": _or_none(_is_flag),
    },
    events.END: {"end_time": clock.is_stamp, "end_reason": _is_reason},
}
