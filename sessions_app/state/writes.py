"""The ways to write a state, as values that both doors make (STA-21, STA-31, STA-35, STA-48, DEV-36). Pure."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from sessions_app.kinds import DomainError
from sessions_app.state import merge, patches
from sessions_app.state.canonical import Document, document, encoded
from sessions_app.state.merge import Resolution
from sessions_app.state.patches import Change


class _AnyWrite:
    """What every write can say of itself."""

    source: ClassVar[str]
    amplifies: ClassVar[bool] = False  # whether it may make much of little
    revives: ClassVar[bool] = False  # whether it starts an expired state anew (STA-60, STA-61)
    misfit: ClassVar[str] = "base_version {} is not the current version {}"
    digest: bytes | None = None  # what an op_id stands for (DEV-44)

    @property
    def client_version(self) -> int | None:
        """The number the client sent, for the answer that refuses it."""
        return None

    @property
    def base_version(self) -> int | None:
        """The version the client saw, if it said so."""
        return self.client_version

    def fits(self, current: int) -> bool:
        """Whether the write may follow version `current`."""
        return self.client_version is None or self.client_version == current


class DirectWrite(_AnyWrite, ABC):
    """A write whose effect follows from the current state alone; a plain one meets whatever is current."""

    @abstractmethod
    def change(self, current: Document) -> Change:
        """Its effect on the current state. Raises a DomainError about patch, value or size."""

    def touched(self, current: Document) -> set[str]:
        """The root keys it would set or remove."""
        change = self.change(current)
        return {*change.changed, *change.deleted}

    def effective(self, current: Document) -> set[str]:
        """The root keys it would set or remove to something other than they are."""
        change = self.change(current)
        return {key for key, member in change.changed.items() if current.members.get(key) != member} | {*change.deleted}


@dataclass(frozen=True)
class Replace(DirectWrite):
    """The whole state anew; `version` is the one it is meant to become (STA-21)."""

    source = "snapshot"
    revives = True
    misfit = "version {} does not follow the current version {}"
    state_data: Mapping[str, Any]
    version: int | None = None

    @cached_property
    def document(self) -> Document:
        """The state that was sent. Raises InvalidValue, TooDeep, StateTooLarge."""
        return document(self.state_data)

    @property
    def client_version(self) -> int | None:
        """As above."""
        return self.version

    @property
    def base_version(self) -> int | None:
        """The version whose successor the client meant to write."""
        return self.version - 1 if self.version else None

    def fits(self, current: int) -> bool:
        """Zero and nothing are no demand."""
        return not self.version or self.version == current + 1

    def restates(self, current: int, checksum: str) -> bool:
        """Whether this is the very state that is stored, posted again."""
        try:
            return self.version == current and self.document.checksum == checksum
        except DomainError:
            return False

    def change(self, current: Document) -> Change:
        """The keys that differ."""
        return patches.between(current, self.document)


@dataclass(frozen=True)
class Update(DirectWrite):
    """Some keys set, some removed (STA-31)."""

    source = "incremental"
    based_on: int
    changes: Mapping[str, Any]
    deleted_keys: Sequence[str]

    @property
    def client_version(self) -> int | None:
        """As above."""
        return self.based_on

    def change(self, current: Document) -> Change:
        """Whole keys, no deep merge."""
        return patches.update(current, self.changes, self.deleted_keys)

    def touched(self, current: Document) -> set[str]:
        """What the request names; its values play no part."""
        return {*self.changes, *self.deleted_keys}


@dataclass(frozen=True)
class MergePatch(DirectWrite):
    """RFC 7396 (STA-49)."""

    source = "patch"
    patch: Any

    def change(self, current: Document) -> Change:
        """Every root key the patch names."""
        return patches.merge_patch(current, self.patch)


@dataclass(frozen=True)
class JsonPatch(DirectWrite):
    """RFC 6902 (STA-50)."""

    source = "patch"
    amplifies = True
    patch: Any

    def change(self, current: Document) -> Change:
        """Every root key its operations addressed."""
        return patches.json_patch(current, self.patch)


@dataclass(frozen=True)
class KeyWrite(DirectWrite):
    """SET, DELETE or MERGE of one key over the socket (DEV-36)."""

    source = "ws"
    revives = True
    key: str
    value: Any
    operation: str = "SET"
    based_on: int | None = None

    @property
    def client_version(self) -> int | None:
        """As above."""
        return self.based_on

    def change(self, current: Document) -> Change:
        """One key, or for a merge into the root every key it names."""
        return patches.key_operation(current, self.operation, self.key, self.value)

    @cached_property
    def digest(self) -> bytes:  # type: ignore[override]  # computed when asked for
        """What an op_id stands for: the same one with anything else is reused (DEV-44)."""
        try:
            value = b"" if self.operation == "DELETE" else encoded(self.value)
        except DomainError:
            return b""  # no committed version can have come of it
        members = encoded([self.operation, self.key, self.based_on])
        return hashlib.sha256(members + value).digest()


@dataclass(frozen=True)
class Resolve(_AnyWrite):
    """The client's whole state against the server's, by one of the strategies (STA-36)."""

    source = "resolve"
    seen_version: int
    state_data: Mapping[str, Any]
    strategy: str
    deleted_keys: Collection[str] = ()

    @property
    def base_version(self) -> int | None:
        """The version both sides may have started from."""
        return self.seen_version

    @cached_property
    def document(self) -> Document:
        """The state that was sent. Raises InvalidValue, TooDeep, StateTooLarge."""
        return document(self.state_data)

    def resolve(self, current: Document, base: Document | None) -> tuple[Document, Resolution]:
        """The state after resolution, and how it came about. Raises InvalidValue, TooDeep, StateTooLarge."""
        client = self.document.data()
        resolution = merge.resolve(
            self.strategy,
            base=None if base is None else base.data(),
            server=current.data(),
            client=client,
            deleted_keys=self.deleted_keys,
        )
        return document(resolution.result), resolution


Write = DirectWrite | Resolve
