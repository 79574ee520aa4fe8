"""Door to the rows of states (STA-62): a batch is locked, read and written by one statement each.

The SQL is in statements.py.
"""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakSet

import orjson
import psycopg
from django.db import connection

from sessions_app.state import columns, statements
from sessions_app.state.columns import Column, bigints, blobs, texts, timestamps
from sessions_app.state.versions import Snapshot, Version, oldest_kept, unpacked

if TYPE_CHECKING:
    from sessions_app.state.held import Held, Moment

_NO_EPOCH: Final = "00000000-0000-0000-0000-000000000000"
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
    names = texts(session_ids)
    locked = _rows(statements.LOCK, [names])
    return [LockedSession._make(row) for row in locked], [
        LoadedState._make(row) for row in _rows(statements.LOAD, [names, texts(checksums)])
    ]


def read(session_id: str) -> "Found | None":
    """The session and its state as last committed, without a lock; None if there is no such session."""
    rows = _rows(statements.READ, [texts([session_id])])
    return found(rows[0]) if rows else None


class Found(NamedTuple):
    """A session that exists, and its state if it has one."""

    user_id: str
    snapshot: Snapshot | None


def found(row: Sequence[Any]) -> Found:
    """What a row of `statements.READ` says."""
    session_id, user_id, epoch, *rest = row
    if epoch is None:
        return Found(user_id, None)
    state = LoadedState(session_id, epoch, *rest)
    return Found(user_id, state.snapshot(user_id, unpacked(state.data or b"", state.size_bytes)))


def versions_by_op(ops: Sequence[tuple[str, str, str]]) -> list[Version]:
    """The versions that (session, device, op_id) have made."""
    return [Version._make(row) for row in _rows(statements.BY_OP, [texts(column) for column in zip(*ops, strict=True)])]


def write(changed: Sequence["Held"], now: "Moment", *, touched: Sequence[str]) -> None:
    """Append what was made to the operation log and bring the states up to it."""
    inserted = [held for held in changed if not held.is_stored]
    forgetting = [held for held in changed if held.made[0].version == 1 or _crosses(held.made)]
    times = [*now, now.expires_at.date()]
    _run(statements.WRITE, [*_made(changed), now.at, *times])
    if inserted:
        _run(statements.INSERT, [*times, *_states(inserted)])
    if forgetting:
        _run(statements.FORGET, _kept(forgetting))
    if touched:
        _run(statements.TOUCH, [now.at, texts(touched)])


def forget_log(session_id: str) -> None:
    """Erase the operation log of a session whose row is locked."""
    _run(statements.FORGET, [texts([session_id]), texts([_NO_EPOCH]), bigints([1])])


def _crosses(made: Sequence[Version]) -> bool:
    """Whether one of the versions is a multiple of FORGET_EVERY."""
    return made[-1].version // FORGET_EVERY > (made[0].version - 1) // FORGET_EVERY


def _made(changed: Sequence["Held"]) -> list[Column]:
    versions = [version for held in changed for version in held.made]
    # Only the newest version of a session brings its state along.
    states = [held if version is held.made[-1] else None for held in changed for version in held.made]
    columns = list(zip(*versions, strict=True))
    (
        ids,
        epochs,
        numbers,
        sources,
        devices,
        apps,
        performers,
        ops,
        digests,
        changes,
        deleted,
        previous,
        sums,
        sizes,
        _,
    ) = columns
    return [
        texts(ids),
        texts(epochs),
        bigints(numbers),
        texts(sources),
        texts(devices),
        texts(apps),
        texts(performers),
        texts(ops),
        blobs(digests),
        blobs(changes),
        blobs([orjson.dumps(keys) for keys in deleted]),
        blobs(previous),
        texts(sums),
        bigints(sizes),
        blobs([held.data if held else None for held in states]),
        timestamps([held.state.created_at if held and held.state else None for held in states]),
    ]


def _states(changed: Sequence["Held"]) -> list[Column]:
    snapshots = [held.state for held in changed if isinstance(held.state, Snapshot)]
    return [
        texts([s.session_id for s in snapshots]),
        texts([s.epoch for s in snapshots]),
        bigints([s.version for s in snapshots]),
        blobs([held.data for held in changed]),
        bigints([len(s.canonical) for s in snapshots]),
        texts([s.checksum for s in snapshots]),
        texts([s.device_id for s in snapshots]),
        texts([s.app_version for s in snapshots]),
        timestamps([s.created_at for s in snapshots]),
    ]


def _kept(changed: Sequence["Held"]) -> list[Column]:
    last = [held.made[-1] for held in changed]
    return [
        texts([v.session_id for v in last]),
        texts([v.epoch for v in last]),
        bigints([oldest_kept(v.version) for v in last]),
    ]


def _rows(statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The rows of a statement that has some."""
    with connection.wrap_database_errors:
        return _run(statement, parameters).fetchall()


def _run(statement: str, parameters: Sequence[Any]) -> psycopg.Cursor[Any]:
    """Execute a statement, which each connection prepares once."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        return _cursor(connection.connection).execute(statement, parameters, binary=True)


def _cursor(raw: psycopg.Connection[Any]) -> psycopg.Cursor[Any]:
    """A plain cursor: Django's own put parameters into the text of statements, which then cannot be prepared."""
    if raw not in _taught:
        raw.prepare_threshold = 0
        columns.register(raw)
        _taught.add(raw)
    return psycopg.Cursor(raw)


_taught: WeakSet[psycopg.Connection[Any]] = WeakSet()  # connections that prepare statements and take columns
