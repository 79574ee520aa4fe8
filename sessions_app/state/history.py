"""What a state was: earlier versions, the log of its writes, differences (STA-27, STA-52 to STA-54)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sessions_app.models import StateVersion
from sessions_app.state import canonical
from sessions_app.state.canonical import EMPTY, Document
from sessions_app.state.state_errors import VersionExpired, VersionNotFound
from sessions_app.state.versions import Snapshot, Version, oldest_kept


def snapshot_at(current: Snapshot, version: int) -> Snapshot:
    """The state as it was at a version of its epoch. Raises VersionNotFound, VersionExpired."""
    if version == current.version:
        return current
    log = _log_from(current, version)
    return current.at(log[0], rewound(canonical.stored(current.canonical), log[1:]))


@dataclass(frozen=True, slots=True)
class Page:
    """Some versions, newest first, and where the next page begins."""

    versions: list[Version]
    next_before: int | None


def page(current: Snapshot, *, limit: int, before: int | None) -> Page:
    """The newest `limit` kept versions below `before`."""
    oldest = oldest_kept(current.version)
    upto = current.version if before is None else min(before - 1, current.version)
    first = max(oldest, upto - limit + 1)
    versions = between(current.session_id, current.epoch, first - 1, upto)[::-1]
    return Page(versions, first if first > oldest and versions else None)


@dataclass(frozen=True, slots=True)
class Difference:
    """What leads from one version to another, at the root."""

    from_checksum: str
    to_checksum: str
    changes: bytes  # canonical objects
    deleted_keys: list[str]
    previous: bytes


def difference(current: Snapshot, from_version: int, to_version: int) -> Difference:
    """What turns one version into the other; either may be the older. Raises VersionNotFound, VersionExpired."""
    one, other = (_document_at(current, version) for version in (from_version, to_version))
    keys = one.differing(other)
    return Difference(
        one.checksum, other.checksum, other.pick(keys), sorted(keys - other.members.keys()), one.pick(keys)
    )


def since(current: Snapshot, version: int) -> list[Version] | None:
    """The versions after `version`, oldest first; None if they are not all kept."""
    if version + 1 < oldest_kept(current.version):
        return None
    log = between(current.session_id, current.epoch, version, current.version)
    return log if len(log) == current.version - version else None


def between(session_id: str, epoch: str, after: int, upto: int) -> list[Version]:
    """The versions after `after` up to `upto`, oldest first."""
    rows = StateVersion.objects.filter(session_id=session_id, epoch=epoch, version__gt=after, version__lte=upto)
    return [_version(row) for row in rows.order_by("version")]


def rewound(document: Document, log: Iterable[Version]) -> Document:
    """The state before `log` (oldest first) made it `document`: each key as its first change found it."""
    found: dict[str, Any] = {}
    absent: set[str] = set()
    for version in log:
        before = version.before
        for key in [*version.changed, *version.deleted_keys]:
            if key in before:
                if key not in absent:
                    found.setdefault(key, before[key])
            elif key not in found:
                absent.add(key)
    return document.replacing(canonical.encoded_members(found), absent)


def _document_at(current: Snapshot, version: int) -> Document:
    return EMPTY if version == 0 else canonical.stored(snapshot_at(current, version).canonical)


def _log_from(current: Snapshot, version: int) -> list[Version]:
    """The kept versions from `version` to the current one. Raises VersionNotFound, VersionExpired."""
    if version > current.version:
        raise VersionNotFound
    log = since(current, version - 1)
    if log is None:
        raise VersionExpired
    return log


def _version(row: StateVersion) -> Version:
    values: dict[str, Any] = {name: getattr(row, name) for name in Version._fields}
    blobs = {name: bytes(values[name]) for name in ("op_digest", "changes", "previous") if values[name] is not None}
    return Version(**{**values, **blobs, "epoch": str(row.epoch)})
