"""When a service is left alone (ADV-72)."""

import pytest

from routing.golf.breaker import Breaker, Open


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def failing(times: int, *, every_s: float = 1.0) -> tuple[Breaker, Clock]:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(times):
        breaker.enter()
        breaker.fail()
        clock.now += every_s
    return breaker, clock


def test_five_failures_open_it():
    """Five within 30 s; four do not."""
    assert failing(4)[0].state == "closed"
    breaker, _ = failing(5, every_s=0)
    assert breaker.state == "open"
    with pytest.raises(Open) as left:
        breaker.enter()
    assert left.value.left_s == 10


def test_old_failures_do_not_count():
    """Five over more than 30 s."""
    assert failing(5, every_s=7.6)[0].state == "closed"


def test_a_success_forgets_failures():
    """Clarification of ADV-72."""
    breaker, _ = failing(4)
    breaker.succeed()
    breaker.fail()

    assert breaker.state == "closed"


def test_refusals_count_neither_way():
    """A 4xx is no failure and no success."""
    breaker, _ = failing(4, every_s=0)
    breaker.refuse()
    breaker.fail()

    assert breaker.state == "open"


def test_one_probe_goes_through_after_ten_seconds():
    """The others wait for it."""
    breaker, clock = failing(5, every_s=0)
    clock.now = 10
    assert breaker.state == "half_open"
    breaker.enter()
    with pytest.raises(Open):
        breaker.enter()


@pytest.mark.parametrize(("outcome", "state"), [("succeed", "closed"), ("refuse", "closed"), ("fail", "open")])
def test_the_probe_decides(outcome, state):
    """A probe that fails opens it for another ten seconds; any answer closes it."""
    breaker, clock = failing(5, every_s=0)
    clock.now = 10
    breaker.enter()
    getattr(breaker, outcome)()

    assert breaker.state == state


def test_calls_that_fail_while_it_is_open_do_not_prolong_it():
    """It stays open ten seconds, as its refusals have promised, whatever was still on its way when it opened."""
    breaker, clock = failing(5, every_s=0)
    clock.now = 6
    breaker.fail()
    clock.now = 10

    assert breaker.state == "half_open"
