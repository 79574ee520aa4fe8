"""Door to the rows of states (STA-62): a batch is locked, read and written by one statement each.

The SQL is in statements.py.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Final

import orjson

from sessions_app import prepared
from sessions_app.prepared import Query
from sessions_app.state import statements
from sessions_app.state.columns import Column, bigints, blobs, texts, timestamps, uuids
from sessions_app.state.held import Held, Moment
from sessions_app.state.rows import Found, LoadedState, LockedSession, found
from sessions_app.state.versions import Snapshot, Version, oldest_kept

_NO_EPOCH: Final = "00000000-0000-0000-0000-000000000000"
FORGET_EVERY: Final = 64  # versions; history is longer than promised by less than this many rows


def lock(session_ids: Sequence[str]) -> list[LockedSession]:
    """Lock the sessions that exist, in order."""
    return [LockedSession._make(row) for row in prepared.rows(statements.LOCK, [texts(session_ids)])]


def load(session_ids: Sequence[str], checksums: Sequence[str | None]) -> list[LoadedState]:
    """The states of locked sessions, which are locked too; `checksums` are what the process holds for each."""
    return [LoadedState._make(row) for row in prepared.rows(statements.LOAD, [texts(session_ids), texts(checksums)])]


def read(session_id: str) -> Found | None:
    """The session and its state as last committed, without a lock; None if there is no such session."""
    return next(iter(read_each([session_id])), None)


def read_each(session_ids: Iterable[str]) -> list[Found]:
    """The same for the sessions that exist."""
    return [found(row) for row in prepared.rows(statements.READ, [texts(list(session_ids))])]


def versions_by_op(ops: Sequence[tuple[str, str, str]]) -> list[Version]:
    """The versions that (session, device, op_id) have made."""
    return [
        Version._make(row)
        for row in prepared.rows(statements.BY_OP, [texts(column) for column in zip(*ops, strict=True)])
    ]


def write(changed: Sequence[Held], now: Moment) -> None:
    """Append what was made to the operation log and bring the states up to it, under their locks."""
    inserted = [held for held in changed if not held.is_stored]
    prepared.run(statements.WRITE, [*_made(changed), now.at, *_times(now)])
    if inserted:
        prepared.run(statements.INSERT, [*_times(now), *_states(inserted)])


def following(changed: Sequence[Held], now: Moment) -> Query:
    """The same for stored states without a lock, where they are still at the version that was followed.

    A statement of its own transaction; its rows are the sessions that were written, and one with a repeated op_id is
    not among them. `changed` is in the order in which rows are locked.
    """
    return Query(statements.FOLLOW, [*_made(changed), now.at, *_times(now), now.at])


def touching(session_ids: Sequence[str], at: dt.datetime) -> Query:
    """Note that somebody acted within the sessions."""
    return Query(statements.TOUCH, [at, texts(session_ids)])


def forgetting_old(changed: Sequence[Held]) -> Query | None:
    """Drop what an earlier epoch left, and from time to time what is older than the history that is kept."""
    forgetting = [held for held in changed if held.made[0].version == 1 or _outgrows(held.made)]
    return Query(statements.FORGET, _kept(forgetting)) if forgetting else None


def forget_log(session_id: str) -> None:
    """Erase the operation log of a session whose row is locked."""
    prepared.run(statements.FORGET, [texts([session_id]), uuids([_NO_EPOCH]), bigints([1])])


def _outgrows(made: Sequence[Version]) -> bool:
    """Whether one of the versions is a multiple of FORGET_EVERY, and old ones are to go."""
    crosses = made[-1].version // FORGET_EVERY > (made[0].version - 1) // FORGET_EVERY
    return crosses and oldest_kept(made[-1].version) > 1


def _times(now: Moment) -> tuple[dt.datetime, dt.datetime, dt.date]:
    """Of the states that are written: when, and until when they live."""
    return now.at, now.expires_at, now.expires_at.date()


def _made(changed: Sequence[Held]) -> list[Column]:
    versions = [version for held in changed for version in held.made]
    # Only the newest version of a session brings its state along.
    data = [held.data if version is held.made[-1] else None for held in changed for version in held.made]
    begun = [held.state.created_at if held.state else None for held in changed for _ in held.made]
    follows = [held.made[0].version - 1 for held in changed for _ in held.made]
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
        uuids(epochs),
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
        blobs(data),
        timestamps(begun),
        bigints(follows),
    ]


def _states(changed: Sequence[Held]) -> list[Column]:
    snapshots = [held.state for held in changed if isinstance(held.state, Snapshot)]
    return [
        texts([s.session_id for s in snapshots]),
        uuids([s.epoch for s in snapshots]),
        bigints([s.version for s in snapshots]),
        blobs([held.data for held in changed]),
        bigints([len(s.canonical) for s in snapshots]),
        texts([s.checksum for s in snapshots]),
        texts([s.device_id for s in snapshots]),
        texts([s.app_version for s in snapshots]),
        timestamps([s.created_at for s in snapshots]),
    ]


def _kept(changed: Sequence[Held]) -> list[Column]:
    last = [held.made[-1] for held in changed]
    return [
        texts([v.session_id for v in last]),
        uuids([v.epoch for v in last]),
        bigints([oldest_kept(v.version) for v in last]),
    ]
