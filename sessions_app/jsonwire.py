"""JSON as it crosses the wire: strict when it comes in, compact when it goes out (STA-10, DEV-11). Pure."""

import json
import math
import re
from typing import Any, NoReturn

import orjson

from sessions_app.errors import MalformedJson
from sessions_app.state.state_errors import TooDeep

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_INT_DIGITS = 4300  # what CPython converts; a double overflows long before


def loads(data: bytes | str, *, unstorable: bool = False) -> Any:
    """Parse a document that can mean only one thing.

    `unstorable` lets values pass that nothing can keep, strings without UTF-8 and numbers beyond a double (they become
    infinite), for callers that refuse them by a rule of their own (STA-17). Raises MalformedJson on these, duplicate
    names, NaN, Infinity, bad UTF-8, a byte order mark or trailing data, TooDeep on nesting the parser cannot follow.
    """
    text = data if isinstance(data, str) else _decoded(data)
    try:
        value = _parsed(text, _ANY if unstorable else _STORABLE)
        if not unstorable and _SURROGATE_ESCAPE.search(text) and _holds_surrogate(value):
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


def _parsed(text: str, decoders: tuple[json.JSONDecoder, json.JSONDecoder]) -> Any:
    usual, for_huge_integers = decoders
    try:
        return usual.decode(text)
    except json.JSONDecodeError as error:
        raise MalformedJson(f"{error.msg} at character {error.pos}") from None
    except ValueError:  # only CPython's limit on the digits of an integer is left
        return for_huge_integers.decode(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedJson("an object names a member twice")
    return members


def _refused_constant(name: str) -> NoReturn:
    raise MalformedJson(f"{name} is not JSON")


def _int_or_infinity(digits: str) -> int | float:
    return int(digits) if len(digits) < _INT_DIGITS else float(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise MalformedJson("a number is beyond a double")
    return number


def _finite_int(digits: str) -> int:
    return int(digits) if len(digits) < _INT_DIGITS else int(_finite(digits))


def _holds_surrogate(value: Any) -> bool:
    match value:
        case str():
            return _SURROGATE.search(value) is not None
        case list():
            return any(map(_holds_surrogate, value))
        case dict():
            return any(map(_holds_surrogate, value)) or any(map(_holds_surrogate, value.values()))
    return False


def _decoder(**numbers: Any) -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refused_constant, **numbers)


# For each kind of caller: the usual decoder, and the one for integers that CPython does not convert.
_ANY = _decoder(), _decoder(parse_int=_int_or_infinity)
_STORABLE = _decoder(parse_float=_finite), _decoder(parse_float=_finite, parse_int=_finite_int)
