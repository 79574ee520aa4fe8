"""What waits to be sent to one socket (DEV-51): a bounded outbox, so that one slow socket delays and costs nobody else.

While the socket takes what it is given nothing is queued and no task exists: a frame is handed to the server within the
call that delivers it. Only a socket whose buffer is full gets a queue, and a task that empties it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from types import coroutine
from typing import Any, Final, Protocol, cast

MAX_FRAMES: Final = 256
MAX_BYTES: Final = 1_048_576
STALLED_S: Final = 10.0

Send = Callable[[dict[str, Any]], Awaitable[None]]
Entry = tuple[dict[str, Any], int, bool]  # message, length, whether it is about state


class Owner(Protocol):
    """Who knows, and is told, how the socket fares."""

    def unsent(self) -> int:
        """Bytes the server still holds for the socket."""

    def drained(self) -> None:
        """A queue that had formed is empty again."""

    def stalled(self) -> None:
        """The socket has taken no byte for STALLED_S while something waited."""


class Outbox:
    """The way to one socket. `is_behind` says that state frames were dropped and a snapshot is owed."""

    __slots__ = (
        "_length", "_owner", "_queue", "_send", "_sending", "_task", "is_behind", "is_closing", "sent", "sent_length",
    )  # fmt: skip

    def __init__(self, send: Send, owner: Owner) -> None:
        self._send, self._owner = send, owner
        self._queue: deque[Entry] | None = None
        self._length = 0
        self._task: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None  # what the task waits for
        self.is_behind = False
        self.is_closing = False
        self.sent = 0  # frames
        self.sent_length = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits."""
        return self._queue is None

    def put(self, key: str, data: str | bytes, *, is_state: bool = False) -> bool:
        """Send soon. False if frames that must not be dropped overflow the outbox."""
        if self.is_closing or (is_state and self.is_behind):
            return True
        self.sent += 1
        self.sent_length += len(data)
        return self._enter({"type": "websocket.send", key: data}, len(data), is_state)

    def close(self, code: int) -> None:
        """Close the socket after what waits."""
        if not self.is_closing:
            self.is_closing = True
            self._enter({"type": "websocket.close", "code": code}, 0, False)

    def give_up(self, code: int) -> None:
        """Close the socket instead of waiting any longer; what waits is lost."""
        if self.is_closing and self._queue is None:
            return
        self.is_closing = True
        for task in (self._sending, self._task):
            if task is not None:
                task.cancel()
        self._queue = self._task = self._sending = None
        self._start({"type": "websocket.close", "code": code})

    def _enter(self, message: dict[str, Any], length: int, is_state: bool) -> bool:
        if self._queue is None:
            self._start(message)
            return True
        self._queue.append((message, length, is_state))
        self._length += length
        return (len(self._queue) <= MAX_FRAMES and self._length <= MAX_BYTES) or self._make_room(self._queue)

    def _make_room(self, queue: deque[Entry]) -> bool:
        """Drop the state frames that wait; whether that was enough."""
        kept = [entry for entry in queue if not entry[2]]
        self.is_behind = self.is_behind or len(kept) < len(queue)
        queue.clear()
        queue.extend(kept)
        self._length = sum(length for _, length, _ in kept)
        return len(kept) <= MAX_FRAMES and self._length <= MAX_BYTES

    def _start(self, message: dict[str, Any]) -> None:
        """Hand a message to the server; if its buffer is full, let a task wait for room."""
        sending: Any = self._send(message)
        try:
            awaited = sending.send(None)
        except StopIteration:
            return
        except OSError:  # the client has gone; the receiving side learns it too
            self.is_closing = True
            return
        queue: deque[Entry] = deque()
        self._queue, self._length = queue, 0
        self._task = asyncio.get_running_loop().create_task(self._drain(_rest(sending, awaited), queue))

    async def _drain(self, sending: Awaitable[None], queue: deque[Entry]) -> None:
        try:
            await self._patiently(sending)
            while queue:
                message, length, _ = queue.popleft()
                self._length -= length
                await self._patiently(self._send(message))
        except TimeoutError:
            self._owner.stalled()
            return
        except OSError:
            self.is_closing = True
        self._queue = self._task = None
        self._owner.drained()

    async def _patiently(self, sending: Awaitable[None]) -> None:
        """Wait as long as the socket takes bytes, however few. Raises TimeoutError."""
        self._sending = task = asyncio.get_running_loop().create_task(_awaited(sending))
        unsent = self._owner.unsent()
        try:
            while not (await asyncio.wait({task}, timeout=STALLED_S))[0]:
                before, unsent = unsent, self._owner.unsent()
                if unsent >= before:
                    raise TimeoutError
            task.result()
        finally:
            task.cancel()


async def _awaited(sending: Awaitable[None]) -> None:
    await sending


def _rest(sending: Any, awaited: Any) -> Awaitable[None]:
    """What is left of a coroutine that was stepped by hand as far as its first wait."""
    return cast(Awaitable[None], _resumed(sending, awaited))


@coroutine
def _resumed(sending: Any, awaited: Any) -> Generator[Any, Any, None]:
    while True:
        try:
            value = yield awaited
        except BaseException as error:
            go_on = partial(sending.throw, error)
        else:
            go_on = partial(sending.send, value)
        try:
            awaited = go_on()
        except StopIteration:
            return
