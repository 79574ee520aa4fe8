"""routing/pod/notices.py: who hears of a session, and what (POD-53), against a real Redis."""

import asyncio

import pytest

from routing import inbox
from routing.pod.notices import Listener, Waiters
from sessions_app import redisdoor

SESSION, OTHER = "sess_00000000000000aa", "sess_00000000000000bb"


async def within(look: object, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not look():  # type: ignore[operator]
            await asyncio.sleep(0.005)


def test_a_listener_hears_its_channel_and_of_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty notice when it begins and after each loss of Redis: something may have been missed."""
    monkeypatch.setattr("routing.pod.notices.RECONNECT_S", 0.05)
    monkeypatch.setattr("routing.pod.notices.SILENCE_S", 0.05)  # it also asks whether the server lives
    heard: list[str] = []

    async def run() -> None:
        listener = Listener("baton:test", heard.append)
        task = asyncio.create_task(listener.run())
        await within(lambda: listener.is_connected)
        await asyncio.sleep(0.2)
        redisdoor.call("publish", "baton:test", "one")
        redisdoor.call("publish", "baton:other", "two")
        await within(lambda: len(heard) == 2)
        redisdoor.call("client_kill_filter", _type="pubsub")
        await within(lambda: len(heard) == 3)
        task.cancel()

    asyncio.run(run())
    assert heard == ["", "one", ""]


def test_news_reaches_who_waits_for_the_session() -> None:
    """What it tells, once; news without words only wakes."""
    waiters = Waiters()
    with waiters.waiting(SESSION) as waiter, waiters.waiting(OTHER) as other:
        waiters.heard(f"{SESSION} told")
        assert (waiter.event.is_set(), other.event.is_set()) == (True, False)
        assert (waiter.all_told(), waiter.event.is_set()) == (["told"], False)
        waiters.heard("")
        assert (waiter.event.is_set(), other.event.is_set()) == (True, True)
        assert waiter.all_told() == other.all_told() == []
    waiters.heard(SESSION)
    assert inbox.read_news(SESSION) == (SESSION, "")
