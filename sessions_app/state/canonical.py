"""The canonical form of a state: RFC 8785 bytes, their checksum and the limits (STA-15 to STA-18). Pure.

A Document holds the canonical bytes of each root member, so an update of one key encodes that key and joins the rest.
"""

import functools
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import orjson
import rfc8785

from sessions_app.state.state_errors import InvalidValue, StateTooLarge, TooDeep

MAX_BYTES = 1_048_576
MAX_DEPTH = 32
MAX_MEMBERS = 10_000
MAX_NAME_LENGTH = 256
MAX_SAFE_INTEGER = 2**53 - 1

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_SURROGATE = re.compile("[\ud800-\udfff]")


class Document(NamedTuple):
    """One state: each root key's canonical `"key":value`, in canonical order, and what they make. Never changed."""

    members: Mapping[str, bytes]
    canonical: bytes
    checksum: str  # lower-case hex SHA-256 of the canonical bytes

    def data(self) -> dict[str, Any]:
        """The state as a fresh dict that the caller may change."""
        value: dict[str, Any] = orjson.loads(self.canonical)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        """The value of one root key, as a fresh object."""
        member = self.members.get(key)
        return default if member is None else orjson.loads(b"{" + member + b"}")[key]

    def pick(self, keys: Collection[str]) -> bytes:
        """The canonical object of those of `keys` that the state has."""
        return self.pick_ordered(_ordered(keys))

    def pick_ordered(self, keys: Iterable[str]) -> bytes:
        """The same for keys in canonical order."""
        members = self.members
        return joined([members[key] for key in keys if key in members])

    def differing(self, other: "Document") -> set[str]:
        """The root keys whose values differ; an absent key differs from any value."""
        return {key for key, _ in self.members.items() ^ other.members.items()}

    def replacing(self, changed: Mapping[str, bytes], deleted: Collection[str] = ()) -> "Document":
        """The state with encoded members set and keys removed. Raises StateTooLarge."""
        members = {**self.members, **changed}
        is_ordered = len(members) == len(self.members)  # a new key would stand at the end
        for key in deleted:
            members.pop(key, None)
        return _document(members if is_ordered else {key: members[key] for key in _ordered(members)})


def document(data: Mapping[str, Any]) -> Document:
    """The canonical form of a whole state. Raises InvalidValue, TooDeep, StateTooLarge."""
    return _document(encoded_members(data))


def stored(canonical: bytes) -> Document:
    """The document whose canonical bytes were stored."""
    return document(orjson.loads(canonical))


def encoded_members(data: Mapping[str, Any]) -> dict[str, bytes]:
    """Each root member of `data` as canonical `"key":value`, in canonical order. Raises InvalidValue, TooDeep."""
    return {key: _name(key) + b":" + encoded(data[key], depth=2) for key in _ordered(data)}


def encoded(value: Any, *, depth: int = 1) -> bytes:
    """The canonical bytes of any JSON value, `depth` being the nesting a container here would have.

    Raises InvalidValue, TooDeep.
    """
    try:
        return orjson.dumps(_printable(value, depth))
    except orjson.JSONEncodeError:
        raise InvalidValue("a string holds a lone surrogate") from None


def check_depth(value: Any, *, depth: int = 1) -> None:
    """Refuse nesting that no state may have before anything recurses into it. Raises TooDeep."""
    if isinstance(value, (dict, list)):
        _check_level(depth)
        for item in value.values() if isinstance(value, dict) else value:
            check_depth(item, depth=depth + 1)


def same(one: Any, other: Any) -> bool:
    """Whether two values taken from documents have one canonical form; true is not 1."""
    # Equality alone takes True for 1; printing alone costs more than most comparisons need.
    return one == other and orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        other, option=orjson.OPT_SORT_KEYS
    )


def member_count(canonical: bytes) -> int:
    """How many members all objects of a canonical text have together."""
    return _STRING.sub(b"", canonical).count(b":")


def _document(members: Mapping[str, bytes]) -> Document:
    canonical = joined(members.values())
    if len(canonical) > MAX_BYTES:
        raise StateTooLarge(f"{len(canonical)} canonical bytes; a state has at most {MAX_BYTES}")
    # A member takes at least so many bytes and shows `":` once, which strings rarely do: seldom is it counted exactly.
    if (
        len(canonical) > MAX_MEMBERS * len('"k":0')
        and canonical.count(b'":') > MAX_MEMBERS
        and (count := member_count(canonical)) > MAX_MEMBERS
    ):
        raise StateTooLarge(f"{count} members; a state has at most {MAX_MEMBERS}")
    return Document(members, canonical, hashlib.sha256(canonical).hexdigest())


def joined(members: Iterable[bytes]) -> bytes:
    return b"{" + b",".join(members) + b"}"


@functools.lru_cache(maxsize=4096)
def _name(name: str) -> bytes:
    """A member name as canonical bytes; states use the same few names again and again."""
    if not 0 < len(name) <= MAX_NAME_LENGTH or "\0" in name or not _is_unicode(name):
        raise InvalidValue(f"a member name has 1 to {MAX_NAME_LENGTH} characters, without U+0000 or lone surrogates")
    return orjson.dumps(name)


def _ordered(names: Collection[str]) -> list[str]:
    # Only names beyond ASCII can sort differently by code point and by UTF-16 code unit.
    if len(names) < 2:
        return list(names)
    return sorted(names) if "".join(names).isascii() else sorted(names, key=_utf16)


def _is_unicode(text: str) -> bool:
    return text.isascii() or _SURROGATE.search(text) is None


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


def _printable(value: Any, depth: int) -> Any:
    """`value` in a shape that orjson prints canonically: members sorted, numbers in ECMAScript's spelling."""
    kind = type(value)
    if kind is str:
        if "\0" in value:
            raise InvalidValue("a string holds U+0000")
    elif kind is int and -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        pass
    elif kind is int or kind is float:
        return _printable_number(value)
    elif kind is dict or kind is list:
        _check_level(depth)
        if kind is list:
            return [_printable(item, depth + 1) for item in value]
        for name in value:
            _name(name)
        return {name: _printable(value[name], depth + 1) for name in _ordered(value)}
    return value


def _check_level(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise TooDeep(f"objects and arrays nest deeper than {MAX_DEPTH}")


def _printable_number(number: int | float) -> int | float | orjson.Fragment:
    if isinstance(number, float) and -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER:
        if number.is_integer():
            return int(number)
        if abs(number) >= 1e-5:
            return number
    return orjson.Fragment(_ecmascript(number))


def _ecmascript(number: int | float) -> bytes:
    try:
        spelling = rfc8785.dumps(float(number))
    except (OverflowError, rfc8785.FloatDomainError):
        raise InvalidValue("a number overflows an IEEE 754 double") from None
    if isinstance(number, int) and spelling != b"%d" % number:
        raise InvalidValue("an integer beyond 2^53 - 1 that no IEEE 754 double spells")
    return spelling


EMPTY = document({})
