"""The rows of a hole as every golf call needs them, in one statement each.

A ball that moves and a player who asks come once a second and more; composing these queries costs several times what
running them does, so they stand here as they are sent.
"""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from django.db import connection

from routing.golf.golf_models import AdviceGiven, Hole, HoleState
from sessions_app import clock
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
_ADVICE_FIELDS = [field for field in AdviceGiven._meta.concrete_fields if not field.primary_key]
# History and bookkeeping promise nothing to the caller: their commit need not wait for the disk.
_NOTE = f"""
    WITH used AS (
        UPDATE {_SESSION} SET last_activity_at = %s WHERE session_id = %s AND status = '{Session.Status.ACTIVE}'
    ), kept AS (
        UPDATE {_STATE} SET expires_at = %s WHERE session_id = %s AND expires_at > %s
    ), relaxed AS (
        SELECT set_config('synchronous_commit', 'off', true)
    )
    INSERT INTO {_ADVICE} ({", ".join(str(field.column) for field in _ADVICE_FIELDS)})
    SELECT {", ".join("%s" for _ in _ADVICE_FIELDS)} FROM relaxed
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
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, [clock.now(), session_id])
        row = cursor.fetchone()
    if row is None:
        return None
    user_id, status, end_reason, ended_at, course_id, hole_id, document = row
    state = json.loads(document) if isinstance(document, str) else document
    is_active = status == Session.Status.ACTIVE
    return Standing(user_id, is_active, end_reason, ended_at is not None, course_id, hole_id, state)


def note_advice(advice: AdviceGiven, *, until: dt.datetime) -> None:
    """Keep the advice as history, and let session and hole state live on, the latter until `until`."""
    at, session_id = advice.at, advice.session_id
    values = [getattr(advice, field.attname) for field in _ADVICE_FIELDS]
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, [at, session_id, until, session_id, at, *values])
