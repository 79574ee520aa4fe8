"""sessions_app/prepared.py: a statement is prepared once for a connection, and fails as Django's own do."""

import pytest
from django.db import DataError, connection, transaction

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
