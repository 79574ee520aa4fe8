"""sessions_app/prepared.py: a statement is prepared once for a connection, and fails as Django's own do."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import DataError, IntegrityError, OperationalError, connection, transaction

from sessions_app import prepared


def test_a_statement_is_prepared_once(db: None) -> None:
    for number in (1, 2, 3):
        assert prepared.first("SELECT %(number)s::int + 1 AS more", {"number": number}) == (number + 1,)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%% + 1 AS more'", [])
        assert cursor.fetchone() == (1,)


def test_its_errors_are_django_s(db: None) -> None:
    with pytest.raises(DataError), transaction.atomic():
        prepared.run("SELECT 1 / %s::int", [0])
    assert prepared.first("SELECT %s::int", [1]) == (1,)


INSERT = "INSERT INTO numbers VALUES (%s::int)"


@pytest.fixture
def numbers(transactional_db: None) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE numbers (number int PRIMARY KEY)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE numbers")


def seen_elsewhere() -> list[int]:
    """What another connection sees, so what is committed."""
    with psycopg.connect(connection.connection.info.dsn, password=connection.settings_dict["PASSWORD"]) as other:
        return [number for (number,) in other.execute("SELECT number FROM numbers ORDER BY number")]


def test_the_last_statement_takes_the_commit_along(numbers: None) -> None:
    with transaction.atomic():
        prepared.run(INSERT, [1])
        assert seen_elsewhere() == []
        prepared.run_last(INSERT, [2])
        assert seen_elsewhere() == [1, 2]
    with transaction.atomic():  # the first statement is the last one
        prepared.run_last(INSERT, [3])
    assert seen_elsewhere() == [1, 2, 3]


def test_what_is_done_at_the_commit_is_done_after_it(numbers: None) -> None:
    seen: list[int] = []
    with transaction.atomic():
        transaction.on_commit(lambda: seen.extend(seen_elsewhere()))
        prepared.run_last(INSERT, [1])
    assert seen == [1]


def test_a_last_statement_that_fails_commits_nothing(numbers: None) -> None:
    def twice() -> None:
        with transaction.atomic():
            prepared.run(INSERT, [1])
            prepared.run_last(INSERT, [1])

    with pytest.raises(IntegrityError):
        twice()
    assert seen_elsewhere() == []
    with transaction.atomic():
        prepared.run_last(INSERT, [1])
    assert seen_elsewhere() == [1]


def test_inside_another_transaction_nothing_is_last(numbers: None) -> None:
    with transaction.atomic():
        with transaction.atomic():
            prepared.run_last(INSERT, [1])
        assert seen_elsewhere() == []
        transaction.set_rollback(True)
    assert seen_elsewhere() == []


def test_a_first_statement_that_fails_leaves_the_connection_usable(numbers: None) -> None:
    with pytest.raises(DataError), transaction.atomic():
        prepared.run("SELECT 1 / %s::int", [0])
    assert prepared.rows("SELECT number FROM numbers", []) == []


def test_a_lost_connection_is_told(numbers: None) -> None:
    """In the middle of two statements of one round trip, too."""
    with pytest.raises(OperationalError), transaction.atomic():
        prepared.run_last("SELECT pg_terminate_backend(pg_backend_pid())", [])
    connection.close()
    assert prepared.first("SELECT %s::int", [1]) == (1,)


def test_who_waits_for_a_lock_holds_up_no_other_thread(numbers: None) -> None:
    """A wait inside libpq would keep the interpreter to itself, and so who holds the lock from giving it back."""
    prepared.run(INSERT, [1])
    waits = threading.Event()

    def second() -> None:
        try:
            with transaction.atomic():
                waits.set()
                prepared.run_last("UPDATE numbers SET number = number + %s::int", [1])
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            prepared.run("UPDATE numbers SET number = number + %s::int", [1])
            done = pool.submit(second)
            assert waits.wait(5)
            time.sleep(0.1)
            assert not done.done()
        done.result(5)
    assert seen_elsewhere() == [3]


def test_it_says_how_many_rows_it_concerned(numbers: None) -> None:
    assert [prepared.run(INSERT, [number]) for number in (1, 2)] == [1, 1]
    assert prepared.run("UPDATE numbers SET number = number + 10 WHERE number > %s::int", [0]) == 2
    assert prepared.run("DELETE FROM numbers WHERE number = %s::int", [99]) == 0


def test_parameters_stand_where_they_are_named(db: None) -> None:
    given = {"a": 1, "b": "two"}
    row = prepared.first("SELECT %(b)s::text, %(a)s::int, '100 %%', %(b)s::text", given)
    assert row == ("two", 1, "100 %", "two")
    assert prepared.first("SELECT %s::int, %s::text", [1, "two"]) == (1, "two")
