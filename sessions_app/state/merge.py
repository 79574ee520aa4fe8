"""Conflict resolution: the three-way walk over base, server and client (STA-36 to STA-44). Pure.

The three sides are values taken from documents, so equal values have one spelling.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sessions_app.state.canonical import same

STRATEGIES: Final = ("server_wins", "client_wins", "merge")


class _Absent:
    """The value of a key that is not there; it equals nothing but itself."""


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Clash:
    """One place where server and client both left the base, in different directions."""

    path: str  # RFC 6901
    base: Any
    server: Any
    client: Any

    def as_json(self, chosen: str) -> dict[str, Any]:
        """The entry of `conflicts` (STA-40); an absent side is null and flagged."""
        sides = {"base": self.base, "server": self.server, "client": self.client}
        entry = {"path": self.path} | {name: None if side is ABSENT else side for name, side in sides.items()}
        flags = {f"{name}_absent": True for name, side in sides.items() if side is ABSENT}
        return entry | {"chosen": chosen} | flags


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a strategy makes of the three sides, and where they clashed, sorted by path."""

    result: dict[str, Any]
    conflicts: list[dict[str, Any]]


def resolve(
    strategy: str,
    *,
    base: Mapping[str, Any] | None,
    server: Mapping[str, Any],
    client: Mapping[str, Any],
    deleted_keys: Collection[str] = (),
) -> Resolution:
    """Apply one of STRATEGIES. `base` None means unknown; `deleted_keys` are root keys the client deletes (STA-38)."""
    merged, clashes = _merge(base, server, client, deleted_keys)
    results = {"server_wins": server, "client_wins": client, "merge": merged}
    chosen = "server" if strategy == "server_wins" else "client"
    return Resolution(dict(results[strategy]), [clash.as_json(chosen) for clash in clashes])


def _merge(
    base: Mapping[str, Any] | None,
    server: Mapping[str, Any],
    client: Mapping[str, Any],
    deleted_keys: Collection[str],
) -> tuple[dict[str, Any], list[Clash]]:
    walk = _Walk(base_known=base is not None)
    result = walk.into("", base or {}, server, client)
    for key in deleted_keys:
        walk.delete(key, base or {}, server, result)
    return result, sorted(walk.clashes, key=lambda clash: clash.path)


@dataclass(slots=True)
class _Walk:
    base_known: bool
    clashes: list[Clash] = field(default_factory=list)

    def into(
        self, path: str, base: Mapping[str, Any], server: Mapping[str, Any], client: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The server's object with the client's members merged in, row by row of STA-39."""
        result = dict(server)
        for key, ours in client.items():
            value = self._member(f"{path}/{_escaped(key)}", base.get(key, ABSENT), server.get(key, ABSENT), ours)
            if value is not ABSENT:
                result[key] = value
        return result

    def delete(self, key: str, base: Mapping[str, Any], server: Mapping[str, Any], result: dict[str, Any]) -> None:
        """Remove a root key; a clash unless the server still holds the base's value."""
        if key not in server:
            return
        del result[key]
        before = base.get(key, ABSENT)
        if not (self.base_known and _same(server[key], before)):
            self.clashes.append(Clash(f"/{_escaped(key)}", before, server[key], ABSENT))

    def _member(self, path: str, base: Any, server: Any, client: Any) -> Any:
        if _same(client, server):
            return server
        if self.base_known and _same(client, base):
            return server
        if isinstance(client, dict) and isinstance(server, dict):
            return self.into(path, base if isinstance(base, dict) else {}, server, client)
        if self.base_known and _same(server, base):
            return client
        if not self.base_known and server is ABSENT:
            return client
        self.clashes.append(Clash(path, base, server, client))
        return client


def _same(one: Any, other: Any) -> bool:
    if one is ABSENT or other is ABSENT:
        return one is other
    return same(one, other)


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
