"""Questions of many connections, answered in batches (CON-16: each hears its own answer)."""

import asyncio
import threading

from sessions_app.errors import SessionNotFound
from sessions_app.kinds import DomainError
from sessions_app.sockets.together import MOST_PER_BATCH, Together


class Doubling:
    """Doubles numbers, and remembers in which batches they came: refuses 13, cannot stand 0."""

    def __init__(self):
        self.batches = []
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, numbers):
        self.batches.append(list(numbers))
        assert self.go_on.wait(5)
        return [SessionNotFound() if number == 13 else 2 * number // bool(number) for number in numbers]


def asked(doubling, *questions):
    """What comes of each question of one turn."""

    async def play():
        together = Together(doubling)
        return await asyncio.gather(*map(together.ask, questions), return_exceptions=True)

    return asyncio.run(play())


def test_one_turn_is_one_batch():
    doubling = Doubling()
    assert asked(doubling, 1, 2, 3) == [2, 4, 6]
    assert doubling.batches == [[1, 2, 3]]


def test_a_batch_has_a_limit():
    doubling = Doubling()
    asked(doubling, *range(1, MOST_PER_BATCH + 2))
    assert [len(batch) for batch in doubling.batches] == [MOST_PER_BATCH, 1]


def test_a_refusal_is_for_its_asker():
    one, refusal, other = asked(Doubling(), 1, 13, 2)
    assert (one, other, type(refusal)) == (2, 4, SessionNotFound)


def test_a_defect_harms_no_other():
    doubling = Doubling()
    one, defect, other = asked(doubling, 1, 0, 2)
    assert (one, other, type(defect)) == (2, 4, ZeroDivisionError)
    assert doubling.batches == [[1, 0, 2], [1], [0], [2]]


def test_what_is_asked_meanwhile_makes_the_next_batch():
    doubling = Doubling()
    doubling.go_on.clear()

    async def play():
        together = Together(doubling)
        gone, first = (asyncio.create_task(together.ask(number)) for number in (1, 2))
        while not doubling.batches:
            await asyncio.sleep(0.001)
        later = [asyncio.create_task(together.ask(number)) for number in (3, 4)]
        await asyncio.sleep(0)
        gone.cancel()  # its socket has closed
        doubling.go_on.set()
        return await asyncio.gather(first, *later, together.ask(5))

    assert asyncio.run(play()) == [4, 6, 8, 10]
    assert doubling.batches[:2] == [[1, 2], [3, 4, 5]]


def test_a_refusal_of_all_reaches_all():
    def away(numbers):
        raise SessionNotFound

    assert all(isinstance(answer, DomainError) for answer in asked(away, 1, 2))


def test_it_rests_between_batches():
    async def play():
        together = Together(Doubling())
        return [await together.ask(number) for number in (1, 2, 3)]

    assert asyncio.run(play()) == [2, 4, 6]
