"""Prepared statements on a psycopg connection of either kind, asked of libpq directly.

psycopg's cursors spend as much on a statement as PostgreSQL does on one that finds its row by a key. A question is a
generator that the connection's `wait` consumes: a thread waits without the interpreter's lock, an event loop goes on
with its other tasks.

    answer = connection.wait(libpq.asking(connection, statement, parameters))
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import psycopg
from psycopg.abc import PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

from sessions_app.state import columns

Parameters = Sequence[Any] | Mapping[str, Any]  # by place or by name
Row = tuple[Any, ...]

_PLACEHOLDER: Final = re.compile(r"%(?:s|\((\w+)\)s|%)")
_DONE: Final = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


class Answer(NamedTuple):
    """What PostgreSQL has answered, and what makes Python's values of it."""

    result: PGresult
    converter: Any

    def rows(self) -> list[Row]:
        """The rows of a statement, none of one that has none."""
        found: list[Row] = self.converter.load_rows(0, self.result.ntuples, tuple)
        return found


def asking(
    raw: psycopg.BaseConnection[Any],
    statement: str,
    parameters: Parameters,
    *,
    begins: bool = False,
    ends: bool = False,
) -> PQGen[Answer]:
    """Ask a statement whose text is always the same; a transaction it `begins` or `ends` is begun or committed too.

    Raises psycopg.Error; whatever failed first, what should have come after it was not done.
    """
    known = _known.get(raw)
    if known is None:
        columns.register(raw)
        known = _known[raw] = {}
    text, order = _numbered(statement)
    given: Any = parameters
    values = [given[name] for name in order]
    converter, pgconn = Transformer(raw), raw.pgconn
    dumped = converter.dump_sequence(values, [PyFormat.AUTO] * len(values))
    key = statement, converter.types
    name = known.get(key)
    if name is None:
        name = f"baton_{len(known)}".encode()
        pgconn.send_prepare(name, text, converter.types)
        _checked((yield from _results(pgconn)))
        known[key] = name
    is_pipeline = begins or ends
    if is_pipeline:
        pgconn.enter_pipeline_mode()
    if begins:
        pgconn.send_query_params(b"BEGIN", None)
    pgconn.send_query_prepared(name, dumped, converter.formats, Format.BINARY)
    if ends:
        pgconn.send_query_params(b"COMMIT", None)
    if is_pipeline:
        pgconn.pipeline_sync()
    results = yield from _results(pgconn, is_pipeline=is_pipeline)
    if is_pipeline:
        pgconn.exit_pipeline_mode()
    result = _checked(results)[begins]
    converter.set_pgresult(result)
    return Answer(result, converter)


def _results(pgconn: PGconn, *, is_pipeline: bool = False) -> PQGen[list[PGresult]]:
    """What became of what was sent."""
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


# What each connection has prepared: the names, by text and types.
_known: WeakKeyDictionary[psycopg.BaseConnection[Any], dict[tuple[str, tuple[int, ...] | None], bytes]]
_known = WeakKeyDictionary()
