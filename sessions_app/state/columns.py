"""Columns of many rows as PostgreSQL arrays in their binary form: what `unnest` reads a batch from.

psycopg can write arrays itself; for hundreds of short values in each batch this is several times faster.
"""

import datetime as dt
from collections.abc import Callable, Iterable
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
    def of(cls, elements: Iterable[bytes | None]) -> "Column":
        """The array of elements that are in binary form already."""
        parts = [_NULL if element is None else _LENGTH(len(element)) + element for element in elements]
        return cls(_HEADER.pack(1, 1, cls.element_oid, len(parts), 1) + b"".join(parts))


class Texts(Column):
    """text[]"""

    array_oid, element_oid = 1009, 25


class Blobs(Column):
    """bytea[]"""

    array_oid, element_oid = 1001, 17


class Bigints(Column):
    """bigint[]"""

    array_oid, element_oid = 1016, 20


class Times(Column):
    """timestamptz[]"""

    array_oid, element_oid = 1185, 1184


def texts(values: Iterable[str | None]) -> Column:
    """A text[]."""
    return Texts.of([None if value is None else value.encode() for value in values])


def blobs(values: Iterable[bytes | None]) -> Column:
    """A bytea[]."""
    return Blobs.of(values)


def bigints(values: Iterable[int]) -> Column:
    """A bigint[]."""
    return Bigints.of([_BIGINT(value) for value in values])


def timestamps(values: Iterable[dt.datetime | None]) -> Column:
    """A timestamptz[]."""
    return Times.of([None if value is None else _BIGINT((value - _EPOCH) // _MICROSECOND) for value in values])


def register(connection: psycopg.BaseConnection[Any]) -> None:
    """Let a connection take columns as parameters."""
    for column, dumper in _DUMPERS.items():
        connection.adapters.register_dumper(column, dumper)


def _dumper(column: type[Column]) -> type[Dumper]:
    dump: Callable[[Dumper, Column], Column] = lambda self, value: value  # noqa: E731
    members = {"format": Format.BINARY, "oid": column.array_oid, "dump": dump}
    return type(f"{column.__name__}Dumper", (Dumper,), members)


_DUMPERS: Final = {column: _dumper(column) for column in (Texts, Blobs, Bigints, Times)}
