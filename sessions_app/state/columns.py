"""Columns of many rows as PostgreSQL arrays in their binary form: what `unnest` reads a batch from.

psycopg can write arrays itself; for hundreds of short values in each batch this is several times faster.
"""

import datetime as dt
import functools
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, ClassVar, Final

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_HEADER: Final = Struct(">iiIii")  # dimensions, has nulls, element type, length, first index
_LENGTH: Final = Struct(">i").pack
_BIGINT: Final = Struct(">q").pack
_NULL: Final = _LENGTH(-1)
_EPOCH: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


class Column(bytes):
    """An array, as it goes over the wire."""

    array_oid: ClassVar[int]
    element_oid: ClassVar[int]

    @classmethod
    def of(cls, values: Sequence[Any], binary: Callable[[Sequence[Any]], Sequence[bytes | None]] = tuple) -> "Column":
        """The array of the values, whose binary forms `binary` makes; None is NULL."""
        # Most columns of a batch say the same in every row.
        times = len(values) if values and values.count(values[0]) == len(values) else 1
        elements = binary(values[:1] if times > 1 else values)
        data = b"".join([_NULL if element is None else _LENGTH(len(element)) + element for element in elements])
        return cls(_HEADER.pack(1, 1, cls.element_oid, len(values), 1) + data * times)


class Texts(Column):
    """text[]"""

    array_oid, element_oid = 1009, 25


class Blobs(Column):
    """bytea[]"""

    array_oid, element_oid = 1001, 17


class Bigints(Column):
    """bigint[]"""

    array_oid, element_oid = 1016, 20


class Uuids(Column):
    """uuid[]"""

    array_oid, element_oid = 2951, 2950


class Times(Column):
    """timestamptz[]"""

    array_oid, element_oid = 1185, 1184


def texts(values: Sequence[str | None]) -> Column:
    """A text[]."""
    return Texts.of(values, lambda some: [None if value is None else value.encode() for value in some])


def blobs(values: Sequence[bytes | None]) -> Column:
    """A bytea[]."""
    return Blobs.of(values)


def bigints(values: Sequence[int]) -> Column:
    """A bigint[]."""
    return Bigints.of(values, lambda some: [_BIGINT(value) for value in some])


def uuids(values: Sequence[str]) -> Column:
    """A uuid[] of what is spelled as RFC 9562 does."""
    return Uuids.of(values, lambda some: [_uuid(value) for value in some])


def timestamps(values: Sequence[dt.datetime | None]) -> Column:
    """A timestamptz[]."""
    return Times.of(
        values, lambda some: [None if at is None else _BIGINT((at - _EPOCH) // _MICROSECOND) for at in some]
    )


def register(connection: psycopg.BaseConnection[Any]) -> None:
    """Let a connection take columns as parameters."""
    for column, dumper in _DUMPERS.items():
        connection.adapters.register_dumper(column, dumper)


@functools.lru_cache(maxsize=4096)
def _uuid(value: str) -> bytes:
    return bytes.fromhex(value.replace("-", ""))


def _dumper(column: type[Column]) -> type[Dumper]:
    dump: Callable[[Dumper, Column], Column] = lambda self, value: value  # noqa: E731
    members = {"format": Format.BINARY, "oid": column.array_oid, "dump": dump}
    return type(f"{column.__name__}Dumper", (Dumper,), members)


_DUMPERS: Final = {column: _dumper(column) for column in (Texts, Blobs, Bigints, Uuids, Times)}
