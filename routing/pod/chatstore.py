"""Door to the rows of the chat queue where it is hot: a message is queued, claimed and settled in one statement each.

Plain SQL: the ORM has no words for changing three tables in one round trip. What else happens to the pod, a change of
its state above all, is pod_moves.py's.
"""

import datetime as dt
import uuid
from typing import Any, NamedTuple

from routing.models import ChatMessage
from sessions_app import prepared
from sessions_app.models import Session

# The commit of a claim need not wait for the disk: one that a crash of PostgreSQL forgets is made again (POD-33).
_CLAIM = """
WITH pod AS (
    SELECT id, state = 'running' AND desired = 'awake' AS is_calm FROM routing_pod
    WHERE id = %(pod_id)s AND worker_id = %(worker_id)s AND state IN ('running', 'draining')
    FOR NO KEY UPDATE
), first AS (
    SELECT m.message_id, m.status, COALESCE(m.lease_until, m.next_attempt_at) AS due
    FROM routing_chatmessage m JOIN pod ON m.pod_id = pod.id
    WHERE m.status IN ('queued', 'delivering') ORDER BY m.seq LIMIT 1
), claimed AS (
    UPDATE routing_chatmessage m
    SET status = 'delivering', lease_id = %(lease_id)s, lease_until = %(until)s, lease_worker_id = %(worker_id)s,
        attempts = m.attempts + 1
    FROM first
    WHERE m.message_id = first.message_id AND m.status = first.status AND first.due <= %(at)s
    RETURNING m.message_id, m.pod_id, m.seq, m.text, m.attempts, m.request_id, m.created_at
)
SELECT set_config('synchronous_commit', 'off', true), pod.is_calm, first.due, claimed.*
FROM pod LEFT JOIN first ON true LEFT JOIN claimed ON true"""

# What the session's row has to know of its log after a line was written.
_RECORDED = """recorded AS (
    UPDATE sessions_app_session
    SET log_lines = %(log_lines)s, log_head = %(log_head)s, last_activity_at = %(session_activity_at)s
    WHERE session_id = %(session_id)s
)"""

_QUEUE = f"""
WITH {_RECORDED}, message AS (
    INSERT INTO routing_chatmessage (
        message_id, pod_id, seq, cursor, status, text, performer_id, accepted_by, request_id, idempotency_key,
        idempotency_digest, attempts, failures, next_attempt_at, created_at)
    VALUES (
        %(message_id)s, %(pod_id)s, %(seq)s, %(cursor)s, 'queued', %(text)s, %(performer_id)s, %(accepted_by)s,
        %(request_id)s, %(key)s, %(digest)s, 0, 0, %(at)s, %(at)s)
)
UPDATE routing_pod
SET last_seq = %(seq)s, last_cursor = %(cursor)s, unsettled = unsettled + 1, desired = 'awake', last_work_at = %(at)s,
    last_activity_at = %(at)s
WHERE id = %(pod_id)s
RETURNING set_config(
    'synchronous_commit', CASE WHEN %(later)s::bool THEN 'off' ELSE current_setting('synchronous_commit') END, true)"""

# A transaction that writes nothing but this: its commit waits for the disk, and so for all that was committed before.
_KEEP = "SELECT pg_logical_emit_message(true, 'baton', '')"

_SETTLE = f"""
WITH {_RECORDED}, message AS (
    UPDATE routing_chatmessage
    SET status = %(status)s, cursor = %(cursor)s, response = %(response)s, error_code = %(error_code)s,
        error_detail = %(error_detail)s, pod_status = %(pod_status)s, failures = %(failures)s, settled_at = %(at)s,
        lease_id = NULL, lease_until = NULL, lease_worker_id = NULL
    WHERE message_id = %(message_id)s
)
UPDATE routing_pod
SET last_cursor = %(cursor)s, unsettled = unsettled - 1, last_work_at = %(at)s, last_activity_at = %(at)s
WHERE id = %(pod_id)s"""


class Claimed(NamedTuple):
    """A message under a lease."""

    message_id: uuid.UUID
    pod_id: int
    seq: int
    text: str
    attempts: int
    request_id: str
    created_at: dt.datetime


class NotClaimed(NamedTuple):
    """Nothing to do now: when the first message will be due, and whether the pod runs and is wished to."""

    due: dt.datetime | None
    is_calm: bool


def claim(
    pod_id: int, *, worker_id: uuid.UUID, lease_id: uuid.UUID, at: dt.datetime, until: dt.datetime
) -> Claimed | NotClaimed:
    """Lease the first unsettled message of a serving pod, if it is due."""
    given: dict[str, Any] = {
        "pod_id": pod_id, "worker_id": worker_id, "lease_id": lease_id, "at": at, "until": until,
    }  # fmt: skip
    row = prepared.first(_CLAIM, given)
    if row is None:
        return NotClaimed(None, is_calm=False)
    _, is_calm, due, message_id, *rest = row
    return NotClaimed(due, is_calm) if message_id is None else Claimed(message_id, *rest)


def queue(session: Session, message: ChatMessage, *, later: bool) -> None:
    """Insert a message and count it in its locked pod, once the line of it is in the session's log; and commit.

    With `later` the commit does not wait for the disk: nobody may be told of the message before its outcome is
    committed, or `keep` was called.
    """
    columns: dict[str, Any] = {
        "message_id": message.pk, "pod_id": message.pod_id, "seq": message.seq, "cursor": message.cursor,
        "text": message.text, "at": message.created_at, "performer_id": message.performer_id,
        "accepted_by": message.accepted_by, "request_id": message.request_id, "key": message.idempotency_key,
        "digest": message.idempotency_digest, "later": later,
    }  # fmt: skip
    _execute(_QUEUE, session, columns)


def settle(session: Session, **columns: Any) -> None:
    """Give a message its outcome and count it in its locked pod, once the line of it is in its log; and commit."""
    _execute(_SETTLE, session, columns)


def keep() -> None:
    """Wait until all that is committed so far is on the disk."""
    prepared.run(_KEEP, [])


def _execute(statement: str, session: Session, columns: dict[str, Any]) -> None:
    recorded: dict[str, Any] = {
        "session_id": session.session_id, "log_lines": session.log_lines, "log_head": session.log_head,
        "session_activity_at": session.last_activity_at,
    }  # fmt: skip
    prepared.run_last(statement, {**recorded, **columns})
