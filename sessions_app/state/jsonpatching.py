"""RFC 6902 on a state, with the limits of STA-18 held after every single operation, so `copy` cannot inflate. Pure.

jsonpatch changes the data; this module checks the patch first and keeps the books on size, members and depth.
"""

from dataclasses import dataclass
from typing import Any, Final

import jsonpatch
import orjson
from jsonpointer import EndOfList, JsonPointer, JsonPointerException

from sessions_app.kinds import DomainError
from sessions_app.state import canonical
from sessions_app.state.canonical import Document
from sessions_app.state.state_errors import (
    InvalidPatch,
    InvalidValue,
    PatchNotApplicable,
    PatchTestFailed,
    StateTooLarge,
)

MAX_OPERATIONS = 500
MAX_WEIGHED_BYTES = 8 * canonical.MAX_BYTES  # ours: bounds the work of moving and copying a large value to and fro

_NEEDS: Final = {  # operation -> the members it must have besides `path`
    "add": ("value",),
    "remove": (),
    "replace": ("value",),
    "move": ("from",),
    "copy": ("from",),
    "test": ("value",),
}


def apply(document: Document, patch: Any) -> tuple[dict[str, Any], set[str]]:
    """The patched data, and the root keys its operations addressed or changed; all operations apply or none.

    Raises InvalidPatch, InvalidValue, TooDeep, StateTooLarge, PatchTestFailed, PatchNotApplicable, each with
    `operation_index` where one operation is to blame.
    """
    bench = _Bench(document)
    for index, operation in enumerate(_checked(patch)):
        try:
            bench.apply(operation)
        except DomainError as error:
            error.members["operation_index"] = index
            raise
        except jsonpatch.JsonPatchTestFailed as error:
            raise PatchTestFailed(operation_index=index) from error
        except (jsonpatch.JsonPatchConflict, JsonPointerException) as error:
            raise PatchNotApplicable(str(error), operation_index=index) from None
    if not isinstance(bench.data, dict):
        raise InvalidValue("the patch leaves something other than an object")
    return bench.data, bench.touched


@dataclass(frozen=True, slots=True)
class _Operation:
    name: str
    path: JsonPointer
    source: JsonPointer | None  # `from`
    value: Any


def _checked(patch: Any) -> list[_Operation]:
    if not isinstance(patch, list) or not 1 <= len(patch) <= MAX_OPERATIONS:
        raise InvalidPatch(f"a JSON patch is an array of 1 to {MAX_OPERATIONS} operations")
    return [_checked_operation(index, entry) for index, entry in enumerate(patch)]


def _checked_operation(index: int, entry: Any) -> _Operation:
    name = entry.get("op") if isinstance(entry, dict) else None
    if not isinstance(name, str) or name not in _NEEDS:
        raise InvalidPatch(f"`op` is one of {', '.join(_NEEDS)}", operation_index=index)
    if missing := {"path", *_NEEDS[name]} - entry.keys():
        raise InvalidPatch(f"{name} needs {', '.join(sorted(missing))}", operation_index=index)
    path = _pointer(index, entry["path"])
    source = _pointer(index, entry["from"]) if "from" in _NEEDS[name] else None
    if name == "move" and source is not None and source != path and path.contains(source):
        raise InvalidPatch("a value cannot move into itself", operation_index=index)
    return _Operation(name, path, source, entry.get("value"))


def _pointer(index: int, text: Any) -> JsonPointer:
    if not isinstance(text, str):
        raise InvalidPatch("a pointer is a string", operation_index=index)
    try:
        return JsonPointer(text)
    except JsonPointerException as error:
        raise InvalidPatch(str(error), operation_index=index) from None


class _Bench:
    """The data under the patch and its exact canonical size, kept by weighing only the values that come and go."""

    def __init__(self, document: Document) -> None:
        self.data: Any = document.data()
        self.touched: set[str] = set()
        self._bytes = len(document.canonical)
        self._members = canonical.member_count(document.canonical)
        self._weighed = 0

    def apply(self, operation: _Operation) -> None:
        """One operation, made of removing and adding; then the limits."""
        match operation:
            case _Operation("test", path=path, value=value):
                self._run("test", path, value)
            case _Operation("add", path=path, value=value):
                self._add(path, value)
            case _Operation("remove", path=path):
                self._remove(path)
            case _Operation("replace", path=path, value=value):
                self._replace(path, value)
            case _Operation("copy", path=path, source=JsonPointer() as source):
                self._add(path, _resolved(source, self.data))
            case _Operation("move", path=path, source=JsonPointer() as source):
                self._move(source, path)
        self._check_limits()

    def _add(self, path: JsonPointer, value: Any) -> None:
        raw = self._weigh(value, depth=len(path.parts) + 1)
        value = orjson.loads(raw)  # canonical numbers, and a copy that shares nothing with its source
        if not path.parts:
            self._replace_root(value, raw)
            return
        parent, key = path.to_last(self.data)
        if isinstance(parent, dict) and key in parent:
            self._remove(path)
        comma = bool(parent)
        self._run("add", path, value)
        self._book(raw, name=_name(parent, key), comma=comma, sign=1)

    def _remove(self, path: JsonPointer) -> None:
        if not path.parts:
            raise PatchNotApplicable("the whole state cannot be removed")
        raw = self._weigh(_resolved(path, self.data))
        parent, key = path.to_last(self.data)
        self._run("remove", path)
        self._book(raw, name=_name(parent, key), comma=bool(parent), sign=-1)

    def _replace(self, path: JsonPointer, value: Any) -> None:
        if path.parts:
            self._remove(path)
        self._add(path, value)

    def _move(self, source: JsonPointer, path: JsonPointer) -> None:
        value = _resolved(source, self.data)
        if source != path:
            self._remove(source)
            self._add(path, value)

    def _replace_root(self, value: Any, raw: bytes) -> None:
        for root in (self.data, value):
            self.touched.update(root if isinstance(root, dict) else ())
        self.data = value
        self._bytes, self._members = len(raw), canonical.member_count(raw)

    def _run(self, name: str, path: JsonPointer, value: Any = None) -> None:
        self.data = jsonpatch.apply_patch(self.data, [{"op": name, "path": path, "value": value}], in_place=True)
        if name != "test":
            self.touched.add(path.parts[0])

    def _weigh(self, value: Any, *, depth: int = 1) -> bytes:
        raw = canonical.encoded(value, depth=depth)
        self._weighed += len(raw)
        if self._weighed > MAX_WEIGHED_BYTES:
            raise StateTooLarge(f"the patch moves more than {MAX_WEIGHED_BYTES} bytes to and fro")
        return raw

    def _book(self, raw: bytes, *, name: str | None, comma: bool, sign: int) -> None:
        # Also what holds a name to its limit after every operation.
        named = 0 if name is None else len(canonical.encoded_members({name: 0})[name]) - len(b"0")
        self._bytes += sign * (named + len(raw) + comma)
        self._members += sign * (canonical.member_count(raw) + (name is not None))

    def _check_limits(self) -> None:
        if self._bytes > canonical.MAX_BYTES:
            raise StateTooLarge(f"{self._bytes} canonical bytes; a state has at most {canonical.MAX_BYTES}")
        if self._members > canonical.MAX_MEMBERS:
            raise StateTooLarge(f"{self._members} members; a state has at most {canonical.MAX_MEMBERS}")


def _name(parent: Any, key: Any) -> str | None:
    """What a member is called in its object; the elements of an array have no names."""
    return str(key) if isinstance(parent, dict) else None


def _resolved(pointer: JsonPointer, data: Any) -> Any:
    value = pointer.resolve(data)
    if isinstance(value, EndOfList):
        raise JsonPointerException("`-` names no element")
    return value
