"""The values the state is made of: one version of the log, one state as it stands (STA-2 to STA-4, STA-20)."""

import datetime as dt
import zlib
from typing import Any, Final, NamedTuple

import orjson
from django.conf import settings

from sessions_app.state.canonical import Document

COMPRESSED_ABOVE_BYTES: Final = 4096  # STA-19
_ZLIB_LEVEL = 6


class Version(NamedTuple):
    """One entry of the operation log: who made this version of a session's state, and what it changed at the root."""

    session_id: str
    epoch: str
    version: int
    source: str  # snapshot, incremental, patch, resolve, ws
    device_id: str | None
    app_version: str | None
    performer_id: str
    op_id: str | None
    op_digest: bytes | None  # what the op_id stood for (DEV-44)
    changes: bytes  # canonical object: every root key that was set, with its value
    deleted_keys: list[str]
    previous: bytes  # canonical object: the old values of the touched keys that existed
    checksum: str
    size_bytes: int
    created_at: dt.datetime

    @property
    def changed(self) -> dict[str, Any]:
        """The keys that were set, with their values."""
        value: dict[str, Any] = orjson.loads(self.changes)
        return value

    @property
    def before(self) -> dict[str, Any]:
        """The touched keys that existed, with their old values."""
        value: dict[str, Any] = orjson.loads(self.previous)
        return value


class Snapshot(NamedTuple):
    """A state as readers get it (STA-20); `canonical` is its JSON."""

    session_id: str
    user_id: str
    canonical: bytes
    version: int
    epoch: str
    checksum: str
    device_id: str | None
    app_version: str | None
    created_at: dt.datetime
    last_updated: dt.datetime
    expires_at: dt.datetime
    stored_bytes: int

    @property
    def etag(self) -> str:
        """Strong, quoted (STA-25)."""
        return etag(self.version, self.checksum)

    def at(self, version: Version, document: Document) -> "Snapshot":
        """The same state as it was at an earlier version of its epoch (STA-27)."""
        return self._replace(
            canonical=document.canonical,
            version=version.version,
            checksum=version.checksum,
            device_id=version.device_id,
            app_version=version.app_version,
            last_updated=version.created_at,
            stored_bytes=len(packed(document.canonical)),
        )


def etag(version: int, checksum: str) -> str:
    """The quoted entity tag of a version (STA-25)."""
    return f'"{version}-{checksum[:16]}"'


def oldest_kept(current: int) -> int:
    """The oldest version that is kept beside version `current` of its epoch (STA-52)."""
    return max(1, current - int(settings.HISTORY_VERSIONS) + 1)


def packed(canonical: bytes) -> bytes:
    """What is stored for a canonical text: itself, or zlib where that is worth it (STA-19)."""
    if len(canonical) <= COMPRESSED_ABOVE_BYTES:
        return canonical
    smaller = zlib.compress(canonical, _ZLIB_LEVEL)
    return smaller if len(smaller) < len(canonical) else canonical


def unpacked(stored: bytes, size_bytes: int) -> bytes:
    """The canonical text behind stored bytes; only a compressed text is shorter than its `size_bytes`."""
    return stored if len(stored) == size_bytes else zlib.decompress(stored)
