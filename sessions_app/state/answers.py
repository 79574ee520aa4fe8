"""What the state endpoints answer (STA-20, STA-22, STA-32, STA-45, STA-53, STA-54), as JSON bytes. Pure.

The canonical text of a state goes into the answer as it is stored; it is never parsed and printed again.
"""

from typing import Any

import orjson
from orjson import Fragment

from sessions_app import clock
from sessions_app.http import problems
from sessions_app.state import canonical, preconditions
from sessions_app.state.history import Difference, Page
from sessions_app.state.idempotency import Answer
from sessions_app.state.operations import Outcome
from sessions_app.state.preconditions import Tags
from sessions_app.state.versions import Snapshot, Version, oldest_kept
from sessions_app.state.writes import Replace, Resolve


def of(outcome: Outcome) -> Answer:
    """The 2xx answer to a write over HTTP."""
    if outcome.answer is not None:
        return outcome.answer
    assert outcome.snapshot is not None
    write, snapshot = outcome.operation.write, outcome.snapshot
    members = snapshot_members(snapshot)
    if isinstance(write, Resolve):
        members |= _resolution(outcome, write, snapshot)
    elif not isinstance(write, Replace):
        members["applied"] = _applied(outcome)
    is_first = isinstance(write, Replace) and outcome.version is not None and outcome.version.version == 1
    location = f"/session/{snapshot.session_id}" if is_first else None
    return Answer(201 if is_first else 200, orjson.dumps(members), snapshot.etag, location)


def headers(answer: Answer, *, replayed: bool = False) -> dict[str, str]:
    """What goes with it (STA-13, STA-22, STA-56)."""
    found = {"ETag": answer.etag, "Cache-Control": problems.CACHING}
    if answer.location:
        found["Location"] = answer.location
    if replayed:
        found["Idempotent-Replayed"] = "true"
    return found


def to_reader(snapshot: Snapshot, held: Tags | None) -> Answer:
    """The answer to a reader who may hold the state already (STA-26)."""
    if held is not None and preconditions.names(held, snapshot.etag):
        return Answer(304, b"", snapshot.etag)
    return Answer(200, orjson.dumps(snapshot_members(snapshot)), snapshot.etag)


def snapshot_members(snapshot: Snapshot) -> dict[str, Any]:
    """The members of a Snapshot, in the order of STA-20."""
    return {
        "session_id": snapshot.session_id,
        "user_id": snapshot.user_id,
        "state_data": Fragment(snapshot.canonical),
        "version": snapshot.version,
        "epoch": snapshot.epoch,
        "checksum": snapshot.checksum,
        "device_id": snapshot.device_id,
        "app_version": snapshot.app_version,
        "created_at": clock.stamp(snapshot.created_at),
        "last_updated": clock.stamp(snapshot.last_updated),
        "expires_at": clock.stamp(snapshot.expires_at),
        "compressed": snapshot.stored_bytes < len(snapshot.canonical),
        "size_bytes": len(snapshot.canonical),
        "stored_bytes": snapshot.stored_bytes,
    }


def page_members(current: Snapshot, page: Page) -> dict[str, Any]:
    """A page of history (STA-53)."""
    return {
        "session_id": current.session_id,
        "epoch": current.epoch,
        "current_version": current.version,
        "oldest_version": oldest_kept(current.version),
        "next_before": page.next_before,
        "versions": [_version_members(version) for version in page.versions],
    }


def difference_members(current: Snapshot, between: tuple[int, int], difference: Difference) -> dict[str, Any]:
    """What leads from one version to another (STA-54)."""
    return {
        "session_id": current.session_id,
        "epoch": current.epoch,
        "from": between[0],
        "to": between[1],
        "from_checksum": difference.from_checksum,
        "to_checksum": difference.to_checksum,
        "changes": Fragment(difference.changes),
        "deleted_keys": difference.deleted_keys,
        "previous": Fragment(difference.previous),
    }


def _version_members(version: Version) -> dict[str, Any]:
    return {
        "version": version.version,
        "checksum": version.checksum,
        "created_at": clock.stamp(version.created_at),
        "source": version.source,
        "device_id": version.device_id,
        "performer_id": version.performer_id,
        "op_id": version.op_id,
        "keys_changed": sorted(version.changed),
        "keys_deleted": sorted(version.deleted_keys),
        "size_bytes": version.size_bytes,
    }


def _applied(outcome: Outcome) -> dict[str, list[str]]:
    assert outcome.version is not None
    return {"changed": sorted(outcome.version.changed), "deleted": sorted(outcome.version.deleted_keys)}


def _resolution(outcome: Outcome, write: Resolve, snapshot: Snapshot) -> dict[str, Any]:
    assert outcome.resolution is not None
    return {
        "resolution_strategy": write.strategy,
        "base": "known" if outcome.base_known else "unknown",
        "client_version": write.seen_version,
        # The entries hold values of states two levels further down than states do.
        "conflicts": Fragment(canonical.encoded(outcome.resolution.conflicts, depth=-1)),
        "changed": outcome.version is not None,
        "resolved_state": Fragment(snapshot.canonical),
    }
