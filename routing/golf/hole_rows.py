"""The rows of a hole as every golf call needs them, in one statement each.

A ball that moves and a player who asks come once a second and more; composing and planning these queries costs several
times what running them does, so they stand here as they are sent, and each connection prepares them once.
"""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from routing.golf.golf_models import AdviceGiven, Hole, HoleState
from sessions_app import clock, prepared
from sessions_app.models import Session

_SESSION, _HOLE, _STATE, _ADVICE = (model._meta.db_table for model in (Session, Hole, HoleState, AdviceGiven))

_STANDING = f"""
    SELECT session.user_id, session.status, session.end_reason,
           hole.ended_at, hole.course_id, hole.hole_id, state.document
    FROM {_HOLE} hole
    JOIN {_SESSION} session ON session.session_id = hole.session_id
    LEFT JOIN {_STATE} state ON state.session_id = hole.session_id AND state.expires_at > %s
    WHERE hole.session_id = %s ORDER BY hole.started_at DESC, hole.id DESC LIMIT 1
"""
_LOCK = f"SELECT document FROM {_STATE} WHERE session_id = %s AND expires_at > %s FOR UPDATE"
_WRITE = f"UPDATE {_STATE} SET document = %s::jsonb, expires_at = %s WHERE session_id = %s"
_USE = f"UPDATE {_SESSION} SET last_activity_at = %s WHERE session_id = %s AND status = '{Session.Status.ACTIVE}'"
_ADVICE_FIELDS = [field for field in AdviceGiven._meta.concrete_fields if not field.primary_key]
# History and bookkeeping promise nothing to the caller: their commit need not wait for the disk.
_KEEP = f"""
    relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO {_ADVICE} ({", ".join(str(field.column) for field in _ADVICE_FIELDS)})
    SELECT {", ".join("%s" for _ in _ADVICE_FIELDS)} FROM relaxed
"""
_KEEP_FAILED = f"WITH {_KEEP}"
# PostgreSQL runs changes that nothing reads from the last to the first: the state before the session, as for a ball.
_KEEP_ACCEPTED = f"""
    WITH used AS (
        UPDATE {_SESSION} SET last_activity_at = %s WHERE session_id = %s AND status = '{Session.Status.ACTIVE}'
    ), kept AS (
        UPDATE {_STATE} SET expires_at = %s WHERE session_id = %s AND expires_at > %s
    ), {_KEEP}
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """The last hole of a session. document: what the `db` store holds of it and has not expired, or None."""

    user_id: str
    is_active: bool
    end_reason: str | None
    has_ended: bool
    course_id: str
    hole_id: int
    document: dict[str, Any] | None


def standing(session_id: str) -> Standing | None:
    """How the session's last hole stands, or None when it never had one."""
    found = prepared.rows(_STANDING, [clock.now(), session_id])
    if not found:
        return None
    user_id, status, end_reason, ended_at, course_id, hole_id, document = found[0]
    is_active = status == Session.Status.ACTIVE
    return Standing(user_id, is_active, end_reason, ended_at is not None, course_id, hole_id, _read(document))


def lock_document(session_id: str) -> dict[str, Any] | None:
    """What the `db` store holds of the hole, locked until the transaction ends; None when its time is up."""
    found = prepared.first(_LOCK, [session_id, clock.now()])
    return _read(found[0]) if found else None


def write_document(session_id: str, document: dict[str, Any], *, until: dt.datetime) -> None:
    """Replace what `lock_document` has locked, and let it live `until`."""
    prepared.run(_WRITE, [json.dumps(document), until, session_id])


def note_use(session_id: str) -> bool:
    """Note that the session was used just now; tells whether it is still active."""
    return prepared.run(_USE, [clock.now(), session_id]) == 1


def note_advice(advice: AdviceGiven, *, until: dt.datetime | None) -> None:
    """Keep the advice as history, and let session and hole state live on, the latter until `until`.

    None: the call failed, and was no use of them (ADV-19, SES-54).
    """
    at, session_id = advice.at, advice.session_id
    values = [getattr(advice, field.attname) for field in _ADVICE_FIELDS]
    if until is None:
        prepared.run(_KEEP_FAILED, values)
    else:
        prepared.run(_KEEP_ACCEPTED, [at, session_id, until, session_id, at, *values])


def _read(document: Any) -> dict[str, Any] | None:
    # Django has its connections hand out jsonb as text, in one of the two formats.
    read: dict[str, Any] | None = json.loads(document) if isinstance(document, str) else document
    return read
