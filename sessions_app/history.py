"""What a state was: kept versions, earlier states, differences, the versions since one (STA-27, STA-52 to STA-54)."""

from collections.abc import Iterable

from sessions_app import canonical
from sessions_app.canonical import Document
from sessions_app.models import StateVersion
from sessions_app.versions import Version


def between(session_id: str, epoch: str, after: int, upto: int) -> list[Version]:
    """The versions after `after` up to `upto`, oldest first."""
    rows = StateVersion.objects.filter(
        session_id=session_id, epoch=epoch, version__gt=after, version__lte=upto
    ).order_by("version")
    return [_version(row) for row in rows]


def rewound(document: Document, log: Iterable[Version]) -> Document:
    """The state before `log` (oldest first) made it `document`: each key as its first change found it."""
    members: dict[str, bytes] = {}
    absent: set[str] = set()
    for version in log:
        before = canonical.stored(version.previous).members
        for key in [*version.changed, *version.deleted_keys]:
            if key in members or key in absent:
                continue
            if key in before:
                members[key] = before[key]
            else:
                absent.add(key)
    return document.replacing(members, absent)


def _version(row: StateVersion) -> Version:
    return Version(
        session_id=row.session_id,
        epoch=str(row.epoch),
        version=row.version,
        source=row.source,
        device_id=row.device_id,
        app_version=row.app_version,
        performer_id=row.performer_id,
        op_id=row.op_id,
        op_digest=None if row.op_digest is None else bytes(row.op_digest),
        changes=bytes(row.changes),
        deleted_keys=row.deleted_keys,
        previous=bytes(row.previous),
        checksum=row.checksum,
        size_bytes=row.size_bytes,
        created_at=row.created_at,
    )
