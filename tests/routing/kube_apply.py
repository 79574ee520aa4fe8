"""Server-side apply as the stand-in of Kubernetes does it: who owns a field keeps it there. Pure."""

from typing import Any

# The lists that are merged, and what tells their items apart; other lists are replaced whole.
_KEYS = {
    "containers": ("name",),
    "env": ("name",),
    "ports": ("containerPort", "protocol"),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}


def with_what_others_own(applied: Any, owned: Any, *, name: str = "") -> Any:
    """What is stored: the applied values, and of what another manager owns all that is not applied."""
    if isinstance(applied, dict) and isinstance(owned, dict):
        both = {
            key: with_what_others_own(value, owned[key], name=key) if key in owned else value
            for key, value in applied.items()
        }
        return {**both, **{key: value for key, value in owned.items() if key not in applied}}
    if isinstance(applied, list) and isinstance(owned, list) and name in _KEYS:
        theirs = {_key(one, name): one for one in owned}
        ours = {_key(one, name): one for one in applied}
        both = {key: with_what_others_own(one, theirs.get(key, one)) for key, one in ours.items()}
        return [*both.values(), *(one for key, one in theirs.items() if key not in ours)]
    return applied


def _key(item: dict[str, Any], name: str) -> tuple[Any, ...]:
    return tuple(item.get(member) for member in _KEYS[name])
