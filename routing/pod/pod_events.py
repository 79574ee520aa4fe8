"""What pods leave in the session's JSONL log (POD-40): that something happened, never what was said."""

from typing import Any

from routing.pod.pod_states import State
from sessions_app import clock, eventlog, events, ids
from sessions_app.access.auth import Caller
from sessions_app.errors import RecorderUnavailable, SessionDirMissing
from sessions_app.models import Session

SOURCE = "session_router"
SYSTEM = "system"

# The changes of state that are events; termination leaves only session.end.
BY_STATE = {
    State.CREATED: "pod.created",
    State.WAKING: "pod.woken",
    State.SLEEPING: "pod.slept",
    State.FAILED: "pod.failed",
}


def append(session: Session, kind: str, *, performer_id: str, **members: Any) -> None:
    """Append one event to the log of a session whose row is locked. Raises RecorderUnavailable."""
    write(session, kind, performer_id=performer_id, **members)
    session.save_recorded()


def write(session: Session, kind: str, *, performer_id: str, **members: Any) -> None:
    """The same, for a caller that writes what the session's row has to know of its log by itself."""
    event = {
        "schema_version": events.SCHEMA_VERSION,
        "record_id": ids.new_record_id(),
        "user_id": session.user_id,
        "session_id": session.session_id,
        "timestamp": clock.stamp(clock.now()),
        "modality": None,
        "source": SOURCE,
        "performer_id": performer_id,
        "event": kind,
        **members,
    }
    try:
        eventlog.append(session, event)
    except SessionDirMissing as error:
        raise RecorderUnavailable from error


def performer_of(by: Caller, session: Session) -> str:
    """Who did it: the caller, or the session's owner where nobody signed in (POD-4, OPS-24)."""
    return session.user_id if by.is_anonymous else by.name
