"""Limits counted in the process and in Redis: one count, whoever counts (OPS-47 to OPS-49)."""

import time
from typing import Any

import pytest

from sessions_app import redisdoor
from sessions_app.access import limits, tallies
from sessions_app.access.auth import Caller
from sessions_app.errors import RedisUnavailable
from sessions_app.kinds import RateLimited

RATE, ME = limits.Rate("tallied", "RATE_STATE"), Caller(user_id="u1")


@pytest.fixture
def asked(monkeypatch: Any) -> list[int]:
    """The uses told to Redis, in the order in which they are."""
    told: list[int] = []
    add = limits.add

    def adding(window: limits.Window, uses: int = 1) -> int:
        told.append(uses)
        return add(window, uses)

    monkeypatch.setattr(limits, "add", adding)
    return told


def shared() -> int:
    """What Redis has counted."""
    window = limits.window(RATE, "u1")
    assert window is not None
    return int(redisdoor.call("get", window.key) or 0)


def until(count: int) -> int:
    end = time.monotonic() + 5
    while shared() < count and time.monotonic() < end:
        time.sleep(0.01)
    return shared()


def remaining(*uses: limits.Usage | None) -> list[str | None]:
    return [None if use is None else use.headers["X-RateLimit-Remaining"] for use in uses]


def test_a_near_limit_is_asked_for_each_time(settings, asked):
    """OPS-47: nobody gets one more because this process had not heard of the others."""
    settings.RATE_STATE = "4/d"
    first = tallies.use_or_ask(RATE, ME)
    for _ in range(2):
        limits.use(RATE, ME)  # another process
    second, third = tallies.use_or_ask(RATE, ME), tallies.use_or_ask(RATE, ME)

    assert remaining(first, third) == ["3", "0"]
    assert second is not None
    with pytest.raises(RateLimited):
        third.check()  # type: ignore[union-attr]


def test_far_from_a_limit_nobody_waits_for_redis(settings, asked):
    """OPS-47: what is counted here is told there all the same."""
    settings.RATE_STATE = "1000/d"
    uses = [tallies.use_or_ask(RATE, ME) for _ in range(100)]

    assert remaining(uses[0], uses[-1]) == ["999", "900"]
    assert until(100) == 100
    assert len(asked) < 20


def test_old_news_are_no_news(settings, asked, monkeypatch):
    """OPS-47: who comes rarely asks; the others may have used up everything meanwhile."""
    settings.RATE_STATE = "1000/d"
    tallies.use_or_ask(RATE, ME)
    window = limits.window(RATE, "u1")
    assert window is not None
    limits.add(window, 1000)
    monkeypatch.setattr(tallies, "YOUNG_S", 0.0)
    late = tallies.use_or_ask(RATE, ME)

    assert late is not None
    with pytest.raises(RateLimited):
        late.check()


def test_a_new_window_begins_anew(settings):
    """OPS-47: windows are fixed."""
    settings.RATE_STATE = "2/s"
    uses = [tallies.use_or_ask(RATE, ME) for _ in range(3)]
    assert min(use.left_s for use in uses if use) == 1
    time.sleep(2.1)
    assert remaining(tallies.use_or_ask(RATE, ME)) == ["1"]


def test_without_redis_all_pass_and_later_all_is_counted(settings, monkeypatch):
    """OPS-49: unlimited while it is away, limited when it is back."""
    settings.RATE_STATE = "1/d"

    def away(*_: Any) -> int:
        raise RedisUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(limits, "add", away)
        assert [tallies.use_or_ask(RATE, ME) for _ in range(3)] == [None] * 3
    end = time.monotonic() + 5
    while (use := tallies.use_or_ask(RATE, ME)) is None and time.monotonic() < end:
        time.sleep(0.05)

    assert use is not None
    with pytest.raises(RateLimited):
        use.check()


def test_no_limit_is_no_count(settings, asked):
    settings.RATE_STATE = ""
    assert (tallies.use(RATE, ME), tallies.use_or_ask(RATE, ME), asked) == (None, None, [])
