"""Threads for requests: kept while they are of use, never waited for."""

import threading
import time
from concurrent.futures import Future, wait
from typing import Any

import pytest

from sessions_app.threads import IDLE_MOST, Threads


def alive(name: str) -> int:
    return sum(thread.name == name for thread in threading.enumerate())


def settled(name: str, most: int) -> bool:
    until = time.monotonic() + 5
    while alive(name) > most and time.monotonic() < until:
        time.sleep(0.01)
    return alive(name) <= most


def test_one_after_the_other_is_the_same_thread():
    threads = Threads("one")
    idents = {threads.submit(threading.get_ident).result(5) for _ in range(50)}
    assert len(idents) == 1


def test_nobody_waits_for_those_that_wait():
    """One request may hang for seconds on a solver; the next one is served meanwhile."""
    threads, opened = Threads("many"), threading.Event()
    waiting: list[Future[Any]] = [threads.submit(opened.wait, 10) for _ in range(IDLE_MOST * 3)]

    assert threads.submit(lambda: "served").result(5) == "served"
    opened.set()
    assert not wait(waiting, timeout=10).not_done
    assert settled("many", IDLE_MOST)


def test_an_error_reaches_who_asked_and_the_thread_goes_on():
    threads = Threads("erring")

    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 / 0).result(5)
    assert threads.submit(lambda: 1).result(5) == 1
    assert alive("erring") == 1


def test_no_more_than_allowed_are_at_work_and_the_others_follow():
    threads, opened = Threads("few", most=2), threading.Event()
    order: list[int] = []
    first: list[Future[Any]] = [threads.submit(opened.wait, 10) for _ in range(2)]
    later: list[Future[Any]] = [threads.submit(order.append, number) for number in range(5)]
    time.sleep(0.05)
    assert (alive("few"), order) == (2, [])

    opened.set()
    assert not wait([*first, *later], timeout=5).not_done
    assert sorted(order) == list(range(5))
    assert alive("few") == 2


def test_what_is_shut_down_ends_after_its_work():
    threads, opened = Threads("ending", most=2), threading.Event()
    busy = threads.submit(opened.wait, 10)
    threads.submit(lambda: None).result(5)
    threads.shutdown()
    assert settled("ending", 1)

    opened.set()
    assert busy.result(5)
    assert settled("ending", 0)
