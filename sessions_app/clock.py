"""Time on the wire (CON-9, SES-4): UTC with exactly three fractional digits and `Z`."""

import datetime as dt
import re
import time
from functools import lru_cache

_MILLISECONDS = tuple(f"{number:03d}Z" for number in range(1000))
STAMP_FORM = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"  # a regular expression without anchors
_STAMP = re.compile(STAMP_FORM, re.ASCII)
_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)


def now() -> dt.datetime:
    """The server's clock, aware, in UTC, cut to the millisecond so that rows and lines hold the same instant."""
    at = dt.datetime.now(dt.UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def stamp(at: dt.datetime) -> str:
    """`at` as `2026-03-02T09:15:04.000Z`; digits past the millisecond are cut, not rounded."""
    if at.tzinfo is not dt.UTC:
        at = at.astimezone(dt.UTC)
    return at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def is_stamp(value: object) -> bool:
    """Whether `value` is a time in the form of `stamp`, and in the calendar."""
    if not isinstance(value, str) or not _STAMP.fullmatch(value):
        return False
    try:
        dt.datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def stamp_now() -> str:
    """What `stamp(now())` says, in a fifth of the time: every line of a log asks."""
    second, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
    return _stamp_of_second(second) + _MILLISECONDS[milliseconds]


@lru_cache(1)
def _stamp_of_second(second: int) -> str:
    return stamp(dt.datetime.fromtimestamp(second, dt.UTC)).removesuffix("000Z")


def seconds_since(at: dt.datetime) -> float:
    """How long ago `at`, which is aware, was."""
    return time.time() - at.timestamp()


def parse(text: object) -> dt.datetime:
    """Read an RFC 3339 time with a zone. Raises ValueError for anything else."""
    match = _RFC3339.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("not an RFC 3339 time with Z or an offset")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    micros = int((fraction or ".0")[1:7].ljust(6, "0"))
    offset = dt.timedelta(0)
    if zone not in "Zz":
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        if hours > 23 or minutes > 59:
            raise ValueError("not a zone offset")
        offset = dt.timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
    local = dt.datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), micros, dt.UTC)
    try:
        return local - offset
    except OverflowError as error:
        raise ValueError("a time outside the calendar") from error
