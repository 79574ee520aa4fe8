"""One timer for all deadlines."""

import asyncio
import heapq

import pytest

from sessions_app.sockets.wheel import Wheel


class Loop:
    """An event loop's clock and timers, moved by hand."""

    def __init__(self):
        self.now, self.timers = 100.5, []

    def time(self):
        return self.now

    def call_at(self, when, act):
        heapq.heappush(self.timers, (when, act))

    def advance(self, seconds):
        until = self.now + seconds
        while self.timers and self.timers[0][0] <= until:
            self.now, act = heapq.heappop(self.timers)
            act()
        self.now = until


class Watched:
    """Counts the looks at it; `again` seconds after each comes the next."""

    def __init__(self, again=None, fails=False):
        self.due_at, self.looks, self._again, self._fails = 0, [], again, fails

    def check(self, now):
        self.looks.append(now)
        if self._fails and len(self.looks) == 1:
            raise ValueError
        return None if self._again is None else now + self._again


@pytest.fixture
def loop(monkeypatch):
    made = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: made)
    return made


@pytest.fixture
def wheel(loop):
    made = Wheel()
    made.start()
    return made


def test_watch(loop, wheel):
    """Looked at within a second of being due, once, and at the latest deadline only."""
    once, moved = Watched(), Watched()
    wheel.watch(once, 101.2)
    wheel.watch(moved, 101.2)
    wheel.watch(moved, 160)
    loop.advance(50)
    assert (once.looks, moved.looks) == ([102], [])

    loop.advance(20)
    assert moved.looks == [161]


def test_watch_again(loop, wheel):
    """As often as it says, in spite of a defect, and of a loop that was held up."""
    often, failing = Watched(again=0.5), Watched(fails=True)
    wheel.watch(often, 100.6)
    wheel.watch(failing, 100.6)
    loop.advance(3)
    assert (often.looks, failing.looks) == ([101, 102, 103], [101, 103])

    loop.now += 10
    loop.advance(1)
    assert len(often.looks) > 3


def test_forget(loop, wheel):
    """Nothing holds on to what is looked at no more."""
    gone, moved = Watched(), Watched()
    wheel.watch(gone, 101.2)
    wheel.watch(moved, 101.2)
    wheel.forget(gone)
    wheel.forget(gone)
    wheel.watch(moved, 103.2)

    assert [one for slot in wheel._slots.values() for one in slot] == [moved]
    loop.advance(10)
    assert (gone.looks, moved.looks) == ([], [104])


def test_forget_within_the_second(loop, wheel):
    """What is looked at first may call off what is due with it."""

    class Rival(Watched):
        def check(self, now):
            super().check(now)
            wheel.forget(first if self is second else second)

    first, second = Rival(), Rival()
    wheel.watch(first, 101.2)
    wheel.watch(second, 101.2)
    loop.advance(5)

    assert len(first.looks) + len(second.looks) == 1


def test_every(loop, wheel):
    """At even intervals."""
    calls = []
    wheel.every(5, lambda: calls.append(loop.now))
    loop.advance(20)

    assert calls == [106, 112, 118]
