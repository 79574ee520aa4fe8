"""sessions_app/redisdoor.py: what is spoken over kept connections."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sessions_app import redisdoor
from sessions_app.errors import RedisUnavailable

ADD = "return tonumber(ARGV[1]) + tonumber(ARGV[2])"


def add(first: int, second: int) -> int:
    return int(redisdoor.run(ADD, [], [first, second]))


def test_connections_that_were_cut_cost_no_call() -> None:
    """POD-68: as a restart of Redis leaves them, several at once."""
    together = threading.Barrier(3)

    def busy(number: int) -> int:
        together.wait(5)
        return int(redisdoor.run("local t = redis.call('TIME')[1] return tonumber(ARGV[1])", [], [number]))

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(busy, range(3))) == [0, 1, 2]
    redisdoor.call("client_kill_filter", _type="normal", skipme=True)
    for number in range(6):
        assert add(number, 1) == number + 1


def test_a_script_that_redis_has_forgotten_is_sent_again() -> None:
    assert add(1, 2) == 3
    redisdoor.call("script_flush")
    assert add(3, 4) == 7


def test_a_script_that_fails_is_told_and_the_next_call_works() -> None:
    with pytest.raises(RedisUnavailable):
        redisdoor.run("return redis.error_reply('no')", [], [])
    redisdoor._servers.clear()
    assert add(1, 1) == 2


def test_publish_tells_how_many_heard() -> None:
    assert redisdoor.publish("baton:test:nobody", "hello") == 0
