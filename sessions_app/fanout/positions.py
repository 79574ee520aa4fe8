"""Where states are, asked by many sockets at once: questions that come while one is under way share the next query."""

import asyncio

from sessions_app.fanout import resume
from sessions_app.fanout.resume import NOWHERE, Position
from sessions_app.kinds import DomainError
from sessions_app.sockets.threads import cross


class Positions:
    """The questions of one event loop."""

    def __init__(self) -> None:
        self._asked: dict[str, asyncio.Future[Position]] = {}
        self._task: asyncio.Task[None] | None = None

    async def of(self, session_id: str) -> Position:
        """The epoch and seq of the session's state now. Raises DatabaseUnavailable."""
        loop = asyncio.get_running_loop()
        answer = self._asked.get(session_id)
        if answer is None:
            answer = self._asked[session_id] = loop.create_future()
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._answer())
        return await asyncio.shield(answer)

    async def _answer(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, {}
            try:
                found = await cross(resume.positions, list(asked))
            except DomainError as error:
                for answer in asked.values():
                    answer.set_exception(error)
                continue
            for session_id, answer in asked.items():
                answer.set_result(found.get(session_id, NOWHERE))
