"""Statements that come all the time, on Django's own connection: each connection plans one once.

Django puts parameters into the text of a statement, which PostgreSQL then has to read and plan anew each time; for a
statement that finds its row by a key that is most of the work.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakSet

import psycopg
from django.db import connection

from sessions_app.state import columns

Parameters = Sequence[Any] | Mapping[str, Any]  # by place or by name


class Query(NamedTuple):
    """A statement and its parameters, for whoever has the connection."""

    statement: str
    parameters: Sequence[Any]


def run(statement: str, parameters: Parameters) -> psycopg.Cursor[Any]:
    """Execute a statement whose text is always the same. Raises Django's database errors."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        return _cursor(connection.connection).execute(statement, parameters, binary=True)


def rows(statement: str, parameters: Parameters) -> list[tuple[Any, ...]]:
    """The rows of a statement that has some."""
    cursor = run(statement, parameters)
    with connection.wrap_database_errors:
        return cursor.fetchall()


def first(statement: str, parameters: Parameters) -> tuple[Any, ...] | None:
    """The first row of a statement that has some."""
    cursor = run(statement, parameters)
    with connection.wrap_database_errors:
        row: tuple[Any, ...] | None = cursor.fetchone()
    return row


def _cursor(raw: psycopg.Connection[Any]) -> psycopg.Cursor[Any]:
    if raw not in _taught:
        raw.prepare_threshold = 0
        columns.register(raw)
        _taught.add(raw)
    return psycopg.Cursor(raw)


_taught: WeakSet[psycopg.Connection[Any]] = WeakSet()  # connections that prepare statements and take columns
