"""What an operation does to a state: partial updates, RFC 7396 and RFC 6902 patches, key operations. Pure.

Serves STA-31, STA-48 to STA-50 and DEV-36. Every verb takes the document and answers a Change; nothing is applied yet.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sessions_app.state import jsonpatching
from sessions_app.state.canonical import Document, check_depth, encoded_members, joined
from sessions_app.state.state_errors import InvalidPatch, InvalidUpdate, UnknownOperation

KEY_OPERATIONS: Final = ("SET", "DELETE", "MERGE")


class Change(NamedTuple):
    """The full effect on the root: members that are set, also to equal values, and keys that vanish, in order."""

    changed: Mapping[str, bytes]
    deleted: Sequence[str]

    def apply(self, document: Document) -> Document:
        """The state after the change. Raises StateTooLarge."""
        return document.replacing(self.changed, self.deleted)

    def forward(self) -> bytes:
        """What is set, as a canonical object."""
        return joined(self.changed.values())

    def backward(self, document: Document) -> bytes:
        """What the touched keys were in `document`, as a canonical object."""
        if self.deleted:
            return document.pick([*self.changed, *self.deleted])
        return document.pick_ordered(self.changed)  # made in order


def update(document: Document, changes: Mapping[str, Any], deleted_keys: Collection[str]) -> Change:
    """Set whole keys and remove others (STA-31). Raises InvalidUpdate, InvalidValue, TooDeep."""
    check_update(changes, deleted_keys)
    return Change(encoded_members(changes), _present(document, deleted_keys))


def check_update(changes: Mapping[str, Any], deleted_keys: Collection[str]) -> None:
    """Raises InvalidUpdate for an update without effect, or with two on one key."""
    if not changes and not deleted_keys:
        raise InvalidUpdate("nothing is set and nothing is deleted")
    check_disjoint(changes, deleted_keys)


def check_disjoint(changes: Mapping[str, Any], deleted_keys: Collection[str]) -> None:
    """Raises InvalidUpdate for a key that is both set and deleted."""
    if not changes.keys().isdisjoint(deleted_keys):
        raise InvalidUpdate("a key is both set and deleted")


def between(document: Document, result: Document) -> Change:
    """The keys that have to be set and removed to reach `result`."""
    differing = document.differing(result)
    changed = {key: member for key, member in result.members.items() if key in differing}
    return Change(changed, _present(document, [key for key in differing if key not in result.members]))


def merge_patch(document: Document, patch: Any) -> Change:
    """Apply RFC 7396 at the root (STA-49). Raises InvalidPatch, InvalidValue, TooDeep."""
    if not isinstance(patch, dict):
        raise InvalidPatch("a merge patch of a state is an object")
    check_depth(patch)
    return _merged_members(document, patch)


def json_patch(document: Document, patch: Any) -> Change:
    """Apply RFC 6902, all operations or none (STA-50).

    Raises InvalidPatch, InvalidValue, TooDeep, StateTooLarge, PatchTestFailed, PatchNotApplicable.
    """
    data, touched = jsonpatching.apply(document, patch)
    members = encoded_members({key: data[key] for key in touched if key in data})
    return Change(members, _present(document, [key for key in touched if key not in data]))


def key_operation(document: Document, operation: str, key: str, value: Any) -> Change:
    """SET, DELETE or MERGE one key; MERGE with no key merges into the root (DEV-36).

    Raises UnknownOperation, InvalidUpdate, InvalidValue, TooDeep.
    """
    if operation not in KEY_OPERATIONS:
        raise UnknownOperation(f"operation is one of {', '.join(KEY_OPERATIONS)}")
    if operation == "MERGE":
        return _merge_key(document, key, value)
    if not key:
        raise InvalidUpdate(f"{operation} needs a key")
    if operation == "DELETE":
        return Change({}, _present(document, [key]))
    return Change(encoded_members({key: value}), ())


def _merge_key(document: Document, key: str, value: Any) -> Change:
    check_depth(value, depth=2 if key else 1)
    if key:
        return Change(encoded_members({key: merged(document.get(key), value)}), ())
    if not isinstance(value, dict):
        raise InvalidUpdate("MERGE into the whole state needs an object")
    return _merged_members(document, value)


def _merged_members(document: Document, patch: Mapping[str, Any]) -> Change:
    kept = {key: merged(document.get(key), value) for key, value in patch.items() if value is not None}
    return Change(encoded_members(kept), _present(document, [key for key in patch if patch[key] is None]))


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396 on one value: null deletes, objects recurse, all else replaces. Neither argument changes."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def _present(document: Document, keys: Collection[str]) -> list[str]:
    return sorted([key for key in keys if key in document.members]) if keys else []
