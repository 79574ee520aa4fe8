"""Rows, tokens and bodies that tests need, with sensible defaults: make_x(**what_matters_here)."""

import uuid
from collections.abc import Iterable
from typing import Any

from sessions_app import clock, eventlog, sessions, snapshots
from sessions_app.access import tokens
from sessions_app.access.auth import Caller
from sessions_app.eventlog import Recorded
from sessions_app.models import Session
from sessions_app.state.operations import Operation, Outcome
from sessions_app.state.versions import Snapshot, Version
from sessions_app.state.writes import Replace


def make_caller(user_id: str = "u1", *roles: str) -> Caller:
    """An authenticated person."""
    return Caller(user_id=user_id, roles=frozenset(roles or ("user",)))


def make_service(name: str = "notes") -> Caller:
    """A caller with an API key."""
    return Caller(roles=frozenset({"service"}), service=name)


def make_token(user_id: str = "u1", roles: Iterable[str] = ("user",), **claims: Any) -> str:
    """An access token."""
    return str(tokens.issue(user_id, roles=roles, **claims)["access_token"])


def make_session(user_id: str = "u1", *, exclusive: bool = True, **over: Any) -> Session:
    """An active session with its log."""
    caller = make_caller(user_id)
    if not exclusive:
        return sessions.open_implicitly(user_id=user_id, by=caller, via="snapshot", **over)
    event = sessions.start(user_id=user_id, performer_id=over.pop("performer_id", user_id), by=caller, **over)
    return Session.objects.get(session_id=event["session_id"])


def make_snapshot(
    user_id: str = "u1", state: dict[str, Any] | None = None, *, session_id: str | None = None
) -> Snapshot:
    """A written state, in a session opened for it."""
    write = Replace(state or {})
    operation = Operation(
        session_id=session_id or str(uuid.uuid4()), user_id=user_id, by=make_caller(user_id), write=write
    )
    [outcome] = snapshots.commit([operation])
    assert isinstance(outcome, Outcome)
    assert outcome.snapshot
    return outcome.snapshot


def make_version(**over: Any) -> Version:
    """An entry of the operation log, in no session."""
    members = {
        "session_id": "sess_0123456789abcdef", "epoch": str(uuid.uuid4()), "version": 2, "source": "ws",
        "device_id": "phone", "app_version": None, "performer_id": "u1", "op_id": None, "op_digest": None,
        "changes": b'{"mood":"calm"}', "deleted_keys": [], "previous": b"{}", "checksum": "c" * 64, "size_bytes": 15,
        "created_at": clock.now(),
    }  # fmt: skip
    return Version(**{**members, **over})


def make_start(**over: Any) -> dict[str, Any]:
    """A body for sessions.start; a member set to `...` is left out."""
    return _body({"user_id": "u1", "performer_id": "carer01"}, over)


def make_end(session_id: str, **over: Any) -> dict[str, Any]:
    """A body for sessions.end; a member set to `...` is left out."""
    return _body({"user_id": "u1", "performer_id": "carer01", "session_id": session_id}, over)


def make_event(session: Session, **over: Any) -> dict[str, Any]:
    """A body for the recorder's append."""
    members = {
        "user_id": session.user_id,
        "session_id": session.session_id,
        "timestamp": "2026-03-02T09:20:00.000Z",
        "source": "notes_service",
        "performer_id": "carer01",
        "event": "note.added",
        "modality": None,
        "note": "left hand tired",
    }
    return _body(members, over)


def append_event(session: Session, **over: Any) -> Recorded:
    """A line in the session's log, for which its row stands."""
    recorded = eventlog.append(session, make_event(session, **over))
    session.save_recorded()
    return recorded


def _body(members: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    body = {"schema_version": "1.0.1", "record_id": str(uuid.uuid4()), **members, **over}
    return {name: value for name, value in body.items() if value is not ...}
