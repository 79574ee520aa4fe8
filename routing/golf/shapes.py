"""The shape of a JSON value that came from a file or another service, stated once and checked whole. Pure.

A check takes a value and the dotted path to it and yields a FieldError for each fault it finds. Objects are closed
unless they say otherwise; `null` counts as missing; booleans are not numbers (ADV-2). The HTTP doors of Django have
serializers.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sessions_app.errors import FieldInvalid, FieldMissing, FieldUnknown
from sessions_app.kinds import FieldError, FieldErrors

KEY_FORM = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
REQUEST_ID_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
Check = Callable[[Any, str], Iterator[FieldError]]


def require(check: Check, value: Any) -> None:
    """Raise FieldErrors with everything the check finds."""
    if faults := list(check(value, "")):
        raise FieldErrors(faults)


def closed(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """An object with these members and no other."""
    return _members(required, optional or {}, is_closed=True)


def open_object(required: Mapping[str, Check] | None = None, optional: Mapping[str, Check] | None = None) -> Check:
    """An object with at least these members; others are nobody's business here."""
    return _members(required or {}, optional or {}, is_closed=False)


def array(item: Check, *, least: int = 0, most: int = 1_000_000) -> Check:
    """A list of `least` to `most` items that all pass."""

    def check(value: Any, path: str) -> Iterator[FieldError]:
        if not isinstance(value, list):
            yield _invalid(path, "must be an array")
        elif not least <= len(value) <= most:
            yield _invalid(path, f"must have {least} to {most} entries")
        else:
            for index, entry in enumerate(value):
                yield from item(entry, f"{path}[{index}]")

    return check


def number(
    low: float = -math.inf, high: float = math.inf, *, above: float = -math.inf, below: float = math.inf
) -> Check:
    """A finite number in [low, high], greater than `above` and less than `below`."""

    def check(value: Any, path: str) -> Iterator[FieldError]:
        if not _is_finite(value):
            yield _invalid(path, "must be a finite number")
        elif not (low <= value <= high and above < value < below):
            yield _invalid(path, "is out of range")

    return check


def integer(low: int, high: int = 2**31) -> Check:
    """A whole number in [low, high], written without a fraction."""

    def check(value: Any, path: str) -> Iterator[FieldError]:
        if not isinstance(value, int) or isinstance(value, bool):
            yield _invalid(path, "must be an integer")
        elif not low <= value <= high:
            yield _invalid(path, "is out of range")

    return check


def text(pattern: str = r"[\s\S]*", *, most: int = 4000) -> Check:
    """A string of at most `most` characters that matches the pattern from end to end."""
    form = re.compile(pattern, re.ASCII)

    def check(value: Any, path: str) -> Iterator[FieldError]:
        if not isinstance(value, str):
            yield _invalid(path, "must be a string")
        elif len(value) > most or not form.fullmatch(value):
            yield _invalid(path, "has a wrong form")

    return check


def one_of(*values: str) -> Check:
    """Exactly one of these strings."""

    def check(value: Any, path: str) -> Iterator[FieldError]:
        if not isinstance(value, str) or value not in values:
            yield _invalid(path, f"must be {' or '.join(values)}")

    return check


def boolean(value: Any, path: str) -> Iterator[FieldError]:
    """True or false."""
    if not isinstance(value, bool):
        yield _invalid(path, "must be true or false")


def anything(value: Any, path: str) -> Iterator[FieldError]:
    """Whatever it is, it is passed on unread."""
    yield from ()


def also(check: Check, holds: Callable[[Any], bool], detail: str) -> Check:
    """`check`, and when it finds nothing, `holds` too."""

    def both(value: Any, path: str) -> Iterator[FieldError]:
        faults = list(check(value, path))
        yield from faults
        if not faults and not holds(value):
            yield _invalid(path, detail)

    return both


def _members(required: Mapping[str, Check], optional: Mapping[str, Check], *, is_closed: bool) -> Check:
    known = {**required, **optional}

    def check(value: Any, path: str) -> Iterator[FieldError]:
        if not isinstance(value, dict):
            yield _invalid(path, "must be an object")
            return
        for name, inner in known.items():
            if value.get(name) is not None:
                yield from inner(value[name], _at(path, name))
            elif name in required or name in value:
                yield FieldError(_at(path, name), FieldMissing.code, "must be given")
        for name in [name for name in value if is_closed and name not in known]:
            yield FieldError(_at(path, name), FieldUnknown.code, "is not known here")

    return check


def _is_finite(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the range of a double
        return False


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _invalid(path: str, detail: str) -> FieldError:
    return FieldError(path or "body", FieldInvalid.code, detail)


KEY = text(KEY_FORM.pattern)
REQUEST_ID = text(REQUEST_ID_FORM.pattern)
POINT = closed({"x_m": number(), "y_m": number()})
WGS84 = closed({"lat": number(-90, 90), "lon": number(-180, 180)})
STIMP = also(
    closed({"ft": integer(0, 30), "in": integer(0, 11)}), lambda s: s["ft"] + s["in"] > 0, "must be above zero"
)
