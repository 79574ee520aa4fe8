"""Threads for requests: kept while they are of use, never waited for."""

import threading
import time
from concurrent.futures import Future, wait
from typing import Any

import pytest

from config.threads import IDLE_MOST, Threads


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
