"""JSON as it crosses the wire: strict when it comes in, compact when it goes out (STA-10, DEV-11). Pure."""

import json
import re
from typing import Any, NoReturn

import orjson

from sessions_app.errors import MalformedJson
from sessions_app.state.state_errors import TooDeep

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_INT_DIGITS = 4300  # what CPython converts; a double overflows long before


def loads(data: bytes | str, *, lone_surrogates: bool = False) -> Any:
    """Parse a document that can mean only one thing.

    `lone_surrogates` lets strings pass that no UTF-8 can hold, for callers that refuse them by a rule of their own
    (STA-17). Raises MalformedJson on duplicate names, NaN, Infinity, bad UTF-8, a byte order mark or trailing data, and
    TooDeep on nesting the parser cannot follow.
    """
    text = data if isinstance(data, str) else _decoded(data)
    try:
        value = _parsed(text)
        if not lone_surrogates and _SURROGATE_ESCAPE.search(text) and _holds_surrogate(value):
            raise MalformedJson("a string holds a lone surrogate")
    except RecursionError:
        raise TooDeep("the document nests too deeply to be read") from None
    return value


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON, members in their own order."""
    return orjson.dumps(value)


def _decoded(data: bytes) -> str:
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise MalformedJson(f"not UTF-8: {error.reason} at byte {error.start}") from None


def _parsed(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise MalformedJson(f"{error.msg} at character {error.pos}") from None
    except ValueError:
        # Only CPython's limit on the digits of an integer is left; whoever validates numbers refuses infinity.
        return _HUGE_INTEGER_DECODER.decode(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedJson("an object names a member twice")
    return members


def _refused_constant(name: str) -> NoReturn:
    raise MalformedJson(f"{name} is not JSON")


def _int_or_infinity(digits: str) -> int | float:
    return int(digits) if len(digits) < _INT_DIGITS else float(digits)


def _holds_surrogate(value: Any) -> bool:
    match value:
        case str():
            return _SURROGATE.search(value) is not None
        case list():
            return any(map(_holds_surrogate, value))
        case dict():
            return any(map(_holds_surrogate, value)) or any(map(_holds_surrogate, value.values()))
    return False


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refused_constant)
_HUGE_INTEGER_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_refused_constant, parse_int=_int_or_infinity
)
