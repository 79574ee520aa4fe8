"""Questions of many connections answered together: what is asked while a batch is under way makes the next one.

A rush of connections then costs the database a few statements for dozens of them instead of as many for each.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from sessions_app.kinds import DomainError
from sessions_app.sockets.threads import cross

MOST_PER_BATCH: Final = 64

Q = TypeVar("Q")
A = TypeVar("A")


class Together(Generic[Q, A]):
    """One verb of one event loop; it is given questions and answers each, or says what refuses it."""

    def __init__(self, verb: Callable[[Sequence[Q]], Sequence[A | DomainError]]) -> None:
        self._verb = verb
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._answering: asyncio.Task[None] | None = None

    async def ask(self, question: Q) -> A:
        """The answer. Raises the refusal, what the verb raises, and DatabaseUnavailable."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[A] = loop.create_future()
        self._waiting.append((question, answer))
        if self._answering is None:
            self._answering = loop.create_task(self._answer_all())
        return await answer

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_PER_BATCH], self._waiting[MOST_PER_BATCH:]
                await self._answer(batch)
        finally:
            self._answering = None

    async def _answer(self, batch: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        answers: Sequence[Any]
        try:
            answers = await cross(self._verb, [question for question, _ in batch])
        except DomainError as error:
            answers = [error] * len(batch)
        except Exception as error:
            if len(batch) > 1:  # one question has found a defect; the others must not suffer
                for each in batch:
                    await self._answer([each])
                return
            answers = [error]
        for (_, waiting), found in zip(batch, answers, strict=True):
            if waiting.done():  # whoever asked has gone
                continue
            if isinstance(found, Exception):
                waiting.set_exception(found)
            else:
                waiting.set_result(found)
