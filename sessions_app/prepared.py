"""Statements that come all the time, on Django's own connection: each connection plans one once.

Django puts parameters into the text of a statement, which PostgreSQL then has to read and plan anew each time; for a
statement that finds its row by a key that is most of the work. These go to libpq directly, because psycopg's cursors
spend as much again on each of them, and because a transaction's first statement can then take its BEGIN along and its
last one the COMMIT: two round trips less.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import psycopg
from django.db import connection
from psycopg.abc import PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

from sessions_app.state import columns

Parameters = Sequence[Any] | Mapping[str, Any]  # by place or by name
Row = tuple[Any, ...]

_PLACEHOLDER: Final = re.compile(r"%(?:s|\((\w+)\)s|%)")
_DONE: Final = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


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
    answer = _asked(statement, parameters)
    found: list[Row] = answer.converter.load_rows(0, answer.result.ntuples, tuple)
    return found


def first(statement: str, parameters: Parameters) -> Row | None:
    """The first row of a statement that has some."""
    found = rows(statement, parameters)
    return found[0] if found else None


class _Answer(NamedTuple):
    """What PostgreSQL has answered, and what makes Python's values of it."""

    result: PGresult
    converter: Any


def _asked(statement: str, parameters: Parameters, *, ends: bool = False) -> _Answer:
    connection.ensure_connection()
    with connection.wrap_database_errors:
        return _ask(connection.connection, statement, parameters, ends)


def _ask(raw: psycopg.Connection[Any], statement: str, parameters: Parameters, ends: bool) -> _Answer:
    names = _known.get(raw)
    if names is None:
        columns.register(raw)
        names = _known[raw] = {}
    text, order = _numbered(statement)
    given: Any = parameters
    values = [given[name] for name in order]
    converter, pgconn = Transformer(raw), raw.pgconn
    dumped = converter.dump_sequence(values, [PyFormat.AUTO] * len(values))
    key = statement, converter.types
    name = names.get(key)
    if name is None:
        name = f"baton_{len(names)}".encode()
        _prepare(raw, name, text, converter.types)
        names[key] = name
    begins = not raw.autocommit and pgconn.transaction_status == TransactionStatus.IDLE
    itself = partial(pgconn.send_query_prepared, name, dumped, converter.formats, Format.BINARY)
    if begins or ends:
        before = [partial(pgconn.send_query_params, b"BEGIN", None)] * begins
        after = [partial(pgconn.send_query_params, b"COMMIT", None)] * ends
        result = _together(raw, [*before, itself, *after])[begins]
    else:
        itself()
        (result,) = _checked(raw.wait(_results(pgconn)))
    converter.set_pgresult(result)
    return _Answer(result, converter)


def _prepare(raw: psycopg.Connection[Any], name: bytes, text: bytes, types: Sequence[int] | None) -> None:
    raw.pgconn.send_prepare(name, text, types)
    _checked(raw.wait(_results(raw.pgconn)))


def _together(raw: psycopg.Connection[Any], sends: Sequence[Callable[[], None]]) -> list[PGresult]:
    """Several statements in one round trip. Raises what the first that failed raises; those after it were not done."""
    pgconn = raw.pgconn
    pgconn.enter_pipeline_mode()
    for send in sends:
        send()
    pgconn.pipeline_sync()
    results = raw.wait(_results(pgconn, is_pipeline=True))
    pgconn.exit_pipeline_mode()
    return _checked(results)


def _results(pgconn: PGconn, *, is_pipeline: bool = False) -> PQGen[list[PGresult]]:
    """What became of what was sent; psycopg waits where this yields, without the interpreter's lock."""
    while pgconn.flush():
        if (yield Wait.RW) & Ready.R:
            pgconn.consume_input()
    results: list[PGresult] = []
    is_done = False
    while not is_done:
        yield Wait.R
        pgconn.consume_input()
        is_done = _read(pgconn, results, is_pipeline)
    return results


def _read(pgconn: PGconn, results: list[PGresult], is_pipeline: bool) -> bool:
    """Add the results that have come; whether they are all. Between two statements of a pipeline libpq has none."""
    while not pgconn.is_busy():
        result = pgconn.get_result()
        if result is None and not is_pipeline:
            return True
        if result is not None and result.status == ExecStatus.PIPELINE_SYNC:
            return True
        if result is not None:
            results.append(result)
    return False


def _checked(results: list[PGresult]) -> list[PGresult]:
    for result in results:
        if result.status not in _DONE:
            raise error_from_result(result)
    return results


@cache
def _numbered(statement: str) -> tuple[bytes, list[str | int]]:
    """The statement with PostgreSQL's own placeholders, and the parameter each stands for."""
    order: list[str | int] = []
    places = 0

    def numbered(found: re.Match[str]) -> str:
        nonlocal places
        if found[0] == "%%":
            return "%"
        parameter: str | int = found[1] or places
        places += not found[1]
        if parameter not in order:
            order.append(parameter)
        return f"${order.index(parameter) + 1}"

    return _PLACEHOLDER.sub(numbered, statement).encode(), order


# Connections that take columns, and the names of what each has prepared, by text and types.
_known: WeakKeyDictionary[psycopg.Connection[Any], dict[tuple[str, tuple[int, ...] | None], bytes]]
_known = WeakKeyDictionary()
