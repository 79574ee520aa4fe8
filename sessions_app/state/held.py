"""One session's state while a batch of writes works on it: in memory, as its locked row says or as last remembered."""

import datetime as dt
import uuid
from typing import Final, NamedTuple

from sessions_app.models import Session
from sessions_app.state import history
from sessions_app.state.canonical import EMPTY, Document, stored
from sessions_app.state.known import Known
from sessions_app.state.operations import Operation
from sessions_app.state.patches import Change
from sessions_app.state.rows import LoadedState, LockedSession
from sessions_app.state.versions import Snapshot, Version, etag, oldest_kept, packed, unpacked

ACTIVE: Final[str] = Session.Status.ACTIVE.value


class Moment(NamedTuple):
    """When a batch is done, and until when the states it writes live."""

    at: dt.datetime
    expires_at: dt.datetime


class NotRemembered(LookupError):
    """Only the database can say."""


class Held:
    """What the session holds now, after the writes of this batch, and the versions they made."""

    def __init__(
        self,
        session: LockedSession,
        state: LoadedState | Snapshot | None = None,
        document: Document = EMPTY,
        *,
        is_stored: bool = False,
        is_unopened: bool = False,
        is_remembered: bool = False,
    ) -> None:
        self._session = session
        self.session_id, self.user_id, status, self.last_activity_at = session
        self.is_active = status == ACTIVE
        self.is_stored = is_stored  # whether there is a row of a state to replace
        self.is_unopened = is_unopened
        self._is_remembered = is_remembered
        self.state = state
        self.version = state.version if state else 0
        self.document = document
        self.data = b""  # what to store for the newest document made
        self.made: list[Version] = []
        self._documents = [document]  # from the loaded version on
        self._rewound: dict[int, Document] = {}

    @classmethod
    def of(cls, session: LockedSession, state: LoadedState | None, known: Document | None) -> "Held":
        """A session as it was loaded; `known` is its document, if the process had it."""
        if state is None:
            return cls(session)
        document = known if state.data is None and known else stored(unpacked(state.data or b"", state.size_bytes))
        return cls(session, state, document, is_stored=True)

    @classmethod
    def again(cls, known: Known) -> "Held":
        """A session as the process knows it, which may be old."""
        return cls(known.session, known.snapshot, known.document, is_stored=True, is_remembered=True)

    @classmethod
    def unopened(cls, session_id: str, user_id: str, at: dt.datetime) -> "Held":
        """A session that its first accepted write will open (STA-5)."""
        return cls(LockedSession(session_id, user_id, ACTIVE, at), is_unopened=True)

    def anew(self) -> "Held":
        """The session without its expired state: the next version begins a new epoch (STA-60)."""
        session = LockedSession(self.session_id, self.user_id, ACTIVE, self.last_activity_at)
        return Held(session, is_stored=self.is_stored)

    @property
    def etag(self) -> str | None:
        """The current ETag."""
        return etag(self.version, self.document.checksum) if self.state else None

    @property
    def epoch(self) -> str | None:
        """The current epoch."""
        return self.state.epoch if self.state else None

    @property
    def snapshot(self) -> Snapshot | None:
        """The state as readers get it."""
        if isinstance(self.state, LoadedState):
            return self.state.snapshot(self.user_id, self.document.canonical)
        return self.state

    @property
    def known(self) -> Known | None:
        """What the process may remember once this is committed."""
        snapshot = self.snapshot if self.is_active else None
        return None if snapshot is None else Known(self._session, snapshot, self.document)

    def note_activity(self, at: dt.datetime) -> None:
        """Somebody has acted within the session."""
        self.last_activity_at = at
        self._session = self._session._replace(last_activity_at=at)

    def has_expired(self, at: dt.datetime) -> bool:
        """Whether the state has reached its end (STA-58)."""
        return self.state is not None and self.state.expires_at <= at

    def document_at(self, version: int) -> Document | None:
        """The state at a version of this epoch that is kept; version 0 is `{}` (STA-52). Raises NotRemembered."""
        if version == 0:
            return EMPTY
        if self.state is None or not oldest_kept(self.version) <= version <= self.version:
            return None
        loaded = self.version - len(self._documents) + 1
        if version >= loaded:
            return self._documents[version - loaded]
        if self._is_remembered:
            raise NotRemembered
        if version not in self._rewound:
            log = history.between(self.session_id, self.state.epoch, version, loaded)
            self._rewound[version] = history.rewound(self._documents[0], log)
        return self._rewound[version]

    def append(self, operation: Operation, change: Change, now: Moment) -> Version:
        """Make the next version. Raises StateTooLarge before anything has changed."""
        document = change.apply(self.document)
        before = self.state
        if before is None:
            epoch, begun_at, app_version = str(uuid.uuid4()), now.at, operation.app_version
        else:
            epoch, begun_at, app_version = before.epoch, before.created_at, operation.app_version or before.app_version
        # By position, in the order of their fields: with names, the two would cost half of what the rest of this does.
        write, device_id, op_id = operation.write, operation.device_id, operation.op_id
        version = Version(
            self.session_id, epoch, self.version + 1, write.source, device_id, app_version,
            operation.performer(self.user_id), op_id, write.digest if op_id else None, change.forward(),
            list(change.deleted), change.backward(self.document), document.checksum, len(document.canonical), now.at,
        )  # fmt: skip
        self.data = packed(document.canonical)
        self.state = Snapshot(
            self.session_id, self.user_id, document.canonical, version.version, epoch, document.checksum, device_id,
            app_version, begun_at, now.at, now.expires_at, len(self.data),
        )  # fmt: skip
        self.document, self.version = document, version.version
        self._documents.append(document)
        self.made.append(version)
        return version
