"""What the rows of a session and its state say when they are read (STA-62)."""

import datetime as dt
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from sessions_app.state.versions import Snapshot, unpacked


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


class Found:
    """A session that exists, and its state if it has one; that is unpacked only for those who may see it (CON-7)."""

    def __init__(self, user_id: str, state: LoadedState | None) -> None:
        self.user_id = user_id
        self._state = state

    @cached_property
    def snapshot(self) -> Snapshot | None:
        """The state as readers get it."""
        state = self._state
        return state and state.snapshot(self.user_id, unpacked(state.data or b"", state.size_bytes))


def found(row: Sequence[Any]) -> Found:
    """What a row of `statements.READ` says."""
    session_id, user_id, epoch, *rest = row
    return Found(user_id, None if epoch is None else LoadedState(session_id, epoch, *rest))
