"""Door to the rows of states (STA-62): a batch is locked and read in one round trip and written in another.

Plain SQL: the ORM has no words for locking, reading and writing many rows by arrays.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
import psycopg
from django.db import connection

from sessions_app.versions import Snapshot, Version, oldest_kept, unpacked

if TYPE_CHECKING:
    from sessions_app.held import Held

# One order of locks in every process: by session id.
_LOCK = """
SELECT session_id, user_id, status, last_activity_at FROM sessions_app_session
WHERE session_id = ANY(%s::text[]) ORDER BY session_id FOR NO KEY UPDATE"""

# A statement of its own, because it has to see what those committed who held the locks before us. A state whose
# checksum the process knows already is not sent again.
_LOAD = """
SELECT s.session_id, s.epoch::text, s.version, s.checksum, s.device_id, s.app_version, s.created_at, s.updated_at,
       s.expires_at, s.size_bytes, length(s.data), CASE WHEN s.checksum = known.checksum THEN NULL ELSE s.data END
FROM unnest(%s::text[], %s::text[]) AS known(session_id, checksum)
JOIN sessions_app_state s ON s.session_id = known.session_id"""

# The reader's one question; the raw route asks it, too.
READ = """
SELECT p.user_id, s.session_id, s.epoch::text, s.version, s.checksum, s.device_id, s.app_version, s.created_at,
       s.updated_at, s.expires_at, s.size_bytes, length(s.data), s.data
FROM sessions_app_session p LEFT JOIN sessions_app_state s USING (session_id)
WHERE p.session_id = %s"""

_BY_OP = """
SELECT session_id, epoch::text, version, source, device_id, app_version, performer_id, op_id, op_digest, changes,
       deleted_keys, previous, checksum, size_bytes, created_at
FROM sessions_app_stateversion
WHERE (session_id, device_id, op_id) IN (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]))"""

_APPEND = """
INSERT INTO sessions_app_stateversion (
    session_id, epoch, version, source, device_id, app_version, performer_id, op_id, op_digest, changes, deleted_keys,
    previous, checksum, size_bytes, created_at)
SELECT session_id, epoch::uuid, version, source, device_id, app_version, performer_id, op_id, op_digest, changes,
       deleted_keys::jsonb, previous, checksum, size_bytes, %s
FROM unnest(
    %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[],
    %s::bytea[], %s::text[], %s::bytea[], %s::text[], %s::int[]
) AS v(
    session_id, epoch, version, source, device_id, app_version, performer_id, op_id, op_digest, changes, deleted_keys,
    previous, checksum, size_bytes)"""

_STATES = """unnest(
    %s::text[], %s::text[], %s::bigint[], %s::bytea[], %s::int[], %s::text[], %s::text[], %s::text[], %s::timestamptz[]
) AS v(session_id, epoch, version, data, size_bytes, checksum, device_id, app_version, created_at)"""

_REPLACE = f"""
UPDATE sessions_app_state s
SET epoch = v.epoch::uuid, version = v.version, data = v.data, size_bytes = v.size_bytes, checksum = v.checksum,
    device_id = v.device_id, app_version = v.app_version, created_at = v.created_at, updated_at = %s, expires_at = %s,
    expires_on = %s
FROM {_STATES}
WHERE s.session_id = v.session_id"""

_INSERT = f"""
INSERT INTO sessions_app_state (
    session_id, epoch, version, data, size_bytes, checksum, device_id, app_version, created_at, updated_at, expires_at,
    expires_on)
SELECT session_id, epoch::uuid, version, data, size_bytes, checksum, device_id, app_version, created_at, %s, %s, %s
FROM {_STATES}"""

# What an earlier epoch left behind, and versions older than the history that is kept.
_FORGET = """
DELETE FROM sessions_app_stateversion l
USING unnest(%s::text[], %s::text[], %s::bigint[]) AS v(session_id, epoch, oldest)
WHERE l.session_id = v.session_id AND (l.epoch <> v.epoch::uuid OR l.version < v.oldest)"""

_TOUCH = "UPDATE sessions_app_session SET last_activity_at = %s WHERE session_id = ANY(%s::text[])"

FORGET_EVERY: Final = 64  # versions; history is longer than promised by less than this many rows


class LockedSession(NamedTuple):
    """What a write has to know of a session, whose row is locked until the transaction ends."""

    session_id: str
    user_id: str
    status: str
    last_activity_at: dt.datetime


class LoadedState(NamedTuple):
    """A state as it is stored; `data` is None where the caller's checksum was right."""

    session_id: str
    epoch: str
    version: int
    checksum: str
    device_id: str | None
    app_version: str | None
    created_at: dt.datetime
    updated_at: dt.datetime
    expires_at: dt.datetime
    size_bytes: int
    stored_bytes: int
    data: bytes | None

    def snapshot(self, user_id: str, canonical: bytes) -> Snapshot:
        """The state as readers get it."""
        return Snapshot(
            session_id=self.session_id,
            user_id=user_id,
            canonical=canonical,
            version=self.version,
            epoch=self.epoch,
            checksum=self.checksum,
            device_id=self.device_id,
            app_version=self.app_version,
            created_at=self.created_at,
            last_updated=self.updated_at,
            expires_at=self.expires_at,
            stored_bytes=self.stored_bytes,
        )


def lock(session_ids: Sequence[str], checksums: Sequence[str | None]) -> tuple[list[LockedSession], list[LoadedState]]:
    """Lock the sessions that exist, in order, and read their states as they are under the lock.

    `checksums` are what the process holds for each session, None for nothing.
    """
    with _pipeline() as cursor:
        locked = cursor().execute(_LOCK, [list(session_ids)], binary=True)
        loaded = cursor().execute(_LOAD, [list(session_ids), list(checksums)], binary=True)
    return [LockedSession(*row) for row in locked], [LoadedState(*row) for row in loaded]


def read(session_id: str) -> "Found | None":
    """The session and its state as last committed, without a lock; None if there is no such session."""
    with _pipeline() as cursor:
        row = cursor().execute(READ, [session_id], binary=True).fetchone()
    return found(row) if row else None


class Found(NamedTuple):
    """A session that exists, and its state if it has one."""

    user_id: str
    snapshot: Snapshot | None


def found(row: Sequence[Any]) -> Found:
    """What a row of READ says."""
    user_id, *columns = row
    if columns[0] is None:
        return Found(user_id, None)
    state = LoadedState(*columns)
    return Found(user_id, state.snapshot(user_id, unpacked(bytes(state.data or b""), state.size_bytes)))


def versions_by_op(ops: Sequence[tuple[str, str, str]]) -> list[Version]:
    """The versions that (session, device, op_id) have made."""
    with _pipeline() as cursor:
        rows = cursor().execute(_BY_OP, [list(column) for column in zip(*ops, strict=True)], binary=True)
    return [Version(*row) for row in rows]


def write(changed: Sequence["Held"], *, at: dt.datetime, touched: Sequence[str]) -> None:
    """Append what was made to the operation log and bring the states up to it, in one round trip."""
    replaced, inserted = [h for h in changed if h.is_stored], [h for h in changed if not h.is_stored]
    forgetting = [h for h in changed if h.made[0].version == 1 or _crosses(h.made)]
    with _pipeline() as cursor:
        cursor().execute(_APPEND, [at, *_version_columns([version for held in changed for version in held.made])])
        if replaced:
            cursor().execute(_REPLACE, _state_values(replaced, at))
        if inserted:
            cursor().execute(_INSERT, _state_values(inserted, at))
        if forgetting:
            cursor().execute(_FORGET, _kept_values(forgetting))
        if touched:
            cursor().execute(_TOUCH, [at, list(touched)])


def _crosses(made: Sequence[Version]) -> bool:
    """Whether one of the versions is a multiple of FORGET_EVERY."""
    return made[-1].version // FORGET_EVERY > (made[0].version - 1) // FORGET_EVERY


def _version_columns(versions: Sequence[Version]) -> list[list[Any]]:
    return [
        [v.session_id for v in versions],
        [v.epoch for v in versions],
        [v.version for v in versions],
        [v.source for v in versions],
        [v.device_id for v in versions],
        [v.app_version for v in versions],
        [v.performer_id for v in versions],
        [v.op_id for v in versions],
        [v.op_digest for v in versions],
        [v.changes for v in versions],
        [orjson.dumps(v.deleted_keys).decode() for v in versions],
        [v.previous for v in versions],
        [v.checksum for v in versions],
        [v.size_bytes for v in versions],
    ]


def _state_values(changed: Sequence["Held"], at: dt.datetime) -> list[Any]:
    snapshots = [held.snapshot for held in changed if held.snapshot]
    expires_at = snapshots[0].expires_at  # one clock for the whole batch
    return [
        at,
        expires_at,
        expires_at.date(),
        [s.session_id for s in snapshots],
        [s.epoch for s in snapshots],
        [s.version for s in snapshots],
        [held.data for held in changed],
        [len(s.canonical) for s in snapshots],
        [s.checksum for s in snapshots],
        [s.device_id for s in snapshots],
        [s.app_version for s in snapshots],
        [s.created_at for s in snapshots],
    ]


def _kept_values(changed: Sequence["Held"]) -> list[list[Any]]:
    last = [held.made[-1] for held in changed]
    return [[v.session_id for v in last], [v.epoch for v in last], [oldest_kept(v.version) for v in last]]


@contextmanager
def _pipeline() -> Iterator[Callable[[], psycopg.Cursor[Any]]]:
    """A source of cursors whose statements leave together and are prepared once per connection."""
    connection.ensure_connection()
    raw = connection.connection
    raw.prepare_threshold = 0
    with connection.wrap_database_errors, raw.pipeline():
        yield lambda: psycopg.Cursor(raw)
