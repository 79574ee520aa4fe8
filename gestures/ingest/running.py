"""The captures this process is running: told when it leaves (GES-39), and counted by caller (GES section 2)."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gestures import limits
from gestures.machine import moves
from sessions_app import drain

Post = Callable[[moves.Event], None]

POLL_S = 0.5  # how soon captures notice that the process is leaving


class Running:
    """The captures of one event loop, and their callers' connections."""

    def __init__(self) -> None:
        self._posts: set[Post] = set()
        self._connections: Counter[str] = Counter()
        self._watch: asyncio.Task[None] | None = None

    @contextmanager
    def hearing(self, post: Post) -> Iterator[None]:
        """Let `post` hear of the process leaving."""
        self._posts.add(post)
        if self._watch is None or self._watch.done():
            self._watch = asyncio.get_running_loop().create_task(self._watch_for_leaving())
        try:
            yield
        finally:
            self._posts.discard(post)

    @contextmanager
    def connection_of(self, caller: str) -> Iterator[bool]:
        """Count a connection; False if the caller has too many (4429)."""
        self._connections[caller] += 1
        try:
            yield self._connections[caller] <= limits.MAX_CONNECTIONS_PER_CALLER
        finally:
            self._connections[caller] -= 1
            if not self._connections[caller]:
                del self._connections[caller]

    def __len__(self) -> int:
        return len(self._posts)

    async def _watch_for_leaving(self) -> None:
        """While there are captures: one timer for all of them, not one each."""
        if not drain.is_draining():
            while not drain.is_draining():
                await asyncio.sleep(POLL_S)
                if not self._posts:
                    return
            self._tell(moves.Leaving())
        await asyncio.sleep(limits.SHUTDOWN_S - POLL_S)
        self._tell(moves.Leaving(at_once=True))

    def _tell(self, event: moves.Event) -> None:
        for post in list(self._posts):
            post(event)


_running: dict[asyncio.AbstractEventLoop, Running] = {}


def is_busy() -> bool:
    """Whether any capture of this process has not ended. Callable from any thread."""
    return any(len(found) for found in list(_running.values()))


def here() -> Running:
    """The captures of the running event loop."""
    return _running.setdefault(asyncio.get_running_loop(), Running())
