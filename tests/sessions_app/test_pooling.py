"""A restart of PostgreSQL cuts every connection of a pool at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import OperationalError, connection

from sessions_app import pooling

pytestmark = pytest.mark.django_db(transaction=True)
IDLE = 6


def ask() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return int(cursor.fetchone()[0])


def fill_the_pool() -> None:
    together = Barrier(IDLE)

    def borrow() -> None:
        ask()
        together.wait()
        connection.close()

    with ThreadPoolExecutor(IDLE) as threads:
        list(threads.map(lambda _: borrow(), range(IDLE)))


def cut_the_others() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def meet_the_cut() -> None:
    """As every door to the verbs does."""
    with pytest.raises(OperationalError):
        ask()
    pooling.renew_if_lost()


def test_after_one_lost_connection_the_others_are_new():
    """OPS-26: one request is refused, not one for each connection."""
    fill_the_pool()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(ask).result()
        cut_the_others()
        threads.submit(meet_the_cut).result()
        assert threads.submit(ask).result() == 1
        threads.submit(lambda: connection.close()).result()
    fill_the_pool()  # would raise with one that was cut


def test_a_sound_connection_is_kept():
    """After an error of a statement nothing is renewed."""
    ask()
    before = connection.connection
    pooling.renew_if_lost()
    assert connection.connection is before
