"""Threads for requests: as many as are busy at once, the one used last first.

concurrent.futures hands work to its threads in turn and starts more than it needs: the caches of each are cold when it
is asked again, and what libraries keep for a thread is kept many times over.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, ParamSpec, TypeVar

IDLE_MOST: Final = 16  # a thread that finds so many idle ends

P = ParamSpec("P")
T = TypeVar("T")


class Threads(Executor):
    """Starts a thread when none is idle, without a bound: no request waits for those that wait for others."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: list[_Inbox] = []
        self._changing = threading.Lock()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` in a thread."""
        future: Future[T] = Future()
        with self._changing:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = SimpleQueue()
            threading.Thread(target=self._serve, args=(inbox,), name=self._name, daemon=True).start()
        inbox.put((future, partial(fn, *args, **kwargs)))
        return future

    def _serve(self, inbox: "_Inbox") -> None:
        is_staying = True
        while is_staying:
            future, work = inbox.get()
            tell = _outcome(work) if future.set_running_or_notify_cancel() else None
            with self._changing:  # before it is told: whoever hears of it may bring the next at once
                if is_staying := len(self._idle) < IDLE_MOST:
                    self._idle.append(inbox)
            if tell is not None:
                tell(future)
            del future, work, tell  # nothing of a request outlives it


def _outcome(work: Callable[[], Any]) -> Callable[[Future[Any]], None]:
    """Do it; gives what tells the future how it went."""
    try:
        result = work()
    except BaseException as error:
        return partial(Future.set_exception, exception=error)
    return partial(Future.set_result, result=result)


_Inbox = SimpleQueue[tuple[Future[Any], Callable[[], Any]]]
