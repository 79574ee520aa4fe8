"""Threads for what waits: as many as are busy at once, the one used last first.

concurrent.futures hands work to its threads in turn and starts more than it needs: the caches of each are cold when it
is asked again, and what libraries keep for a thread is kept many times over.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, ParamSpec, TypeVar

IDLE_MOST: Final = 16  # a thread that finds so many idle ends

P = ParamSpec("P")
T = TypeVar("T")


class Threads(Executor):
    """Starts a thread when none is idle, up to `most`; without a bound nothing waits for what waits itself."""

    def __init__(self, name: str, most: int | None = None) -> None:
        self._name, self._most = name, most
        self._idle: list[_Inbox] = []
        self._waiting: deque[_Work] = deque()
        self._count, self._idle_most = 0, IDLE_MOST
        self._changing = threading.Lock()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` in a thread."""
        future: Future[T] = Future()
        work = future, partial(fn, *args, **kwargs)
        with self._changing:
            inbox = self._idle.pop() if self._idle else None
            if inbox is None and self._count == self._most:
                self._waiting.append(work)
                return future
            self._count += inbox is None
        if inbox is None:
            inbox = SimpleQueue()
            threading.Thread(target=self._serve, args=(inbox,), name=self._name, daemon=True).start()
        inbox.put(work)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end, each once it has done its work; nobody waits for them."""
        with self._changing:
            self._idle_most = 0
            idle, self._idle = self._idle, []
        for inbox in idle:
            inbox.put(None)

    def _serve(self, inbox: "_Inbox") -> None:
        is_staying = True
        while is_staying and (given := inbox.get()):
            future, work = given
            tell = _outcome(work) if future.set_running_or_notify_cancel() else None
            with self._changing:  # before it is told: whoever hears of it may bring the next at once
                is_staying = self._stays(inbox)
            if tell is not None:
                tell(future)
            del given, future, work, tell  # nothing of a request outlives it

    def _stays(self, inbox: "_Inbox") -> bool:
        """Whether a thread that has done its work waits for more, or has some already."""
        if self._waiting:
            inbox.put(self._waiting.popleft())
        elif len(self._idle) < self._idle_most:
            self._idle.append(inbox)
        else:
            self._count -= 1
            return False
        return True


def _outcome(work: Callable[[], Any]) -> Callable[[Future[Any]], None]:
    """Do it; gives what tells the future how it went."""
    try:
        result = work()
    except BaseException as error:
        return partial(Future.set_exception, exception=error)
    return partial(Future.set_result, result=result)


_Work = tuple[Future[Any], Callable[[], Any]]
_Inbox = SimpleQueue[_Work | None]  # None: end
