"""Statements that come all the time, on Django's own connection: each connection plans one once.

Django puts parameters into the text of a statement, which PostgreSQL then has to read and plan anew each time; for a
statement that finds its row by a key that is most of the work. A transaction's first statement takes its BEGIN along,
its last one the COMMIT: two round trips less. How they are asked is in libpq.py.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connection
from psycopg.pq import TransactionStatus

from sessions_app import libpq
from sessions_app.libpq import Answer, Parameters, Row


class Query(NamedTuple):
    """A statement and its parameters, for whoever has the connection."""

    statement: str
    parameters: Sequence[Any]


def run(statement: str, parameters: Parameters) -> int:
    """Execute a statement whose text is always the same; how many rows it concerned. Raises Django's own errors."""
    return _asked(statement, parameters).result.command_tuples or 0


def run_last(statement: str, parameters: Parameters) -> None:
    """Execute the last statement of the running transaction, which is committed with it.

    Inside another transaction, which goes on, nothing is committed yet. Raises as `run`.
    """
    ends = connection.in_atomic_block and not connection.savepoint_ids and not connection.needs_rollback
    _asked(statement, parameters, ends=ends)


def rows(statement: str, parameters: Parameters) -> list[Row]:
    """The rows of a statement, none of one that has none."""
    return _asked(statement, parameters).rows()


def first(statement: str, parameters: Parameters) -> Row | None:
    """The first row of a statement that has some."""
    found = rows(statement, parameters)
    return found[0] if found else None


def _asked(statement: str, parameters: Parameters, *, ends: bool = False) -> Answer:
    connection.ensure_connection()
    with connection.wrap_database_errors:
        raw = connection.connection
        begins = not raw.autocommit and raw.pgconn.transaction_status == TransactionStatus.IDLE
        answer: Answer = raw.wait(libpq.asking(raw, statement, parameters, begins=begins, ends=ends))
        return answer
