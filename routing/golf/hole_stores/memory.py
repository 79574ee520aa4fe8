"""Hole state in this process alone: for tests, and in place of a Redis that does not answer at start (ADV-35)."""

import datetime as dt
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from routing.errors import SessionExpired
from routing.golf.hole_state import HoleState
from routing.golf.hole_stores.contract import Apply, T, deadline
from sessions_app import clock


class MemoryStore:
    """A dictionary under a lock, for tests and one process."""

    backend = "memory"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[HoleState, dt.datetime]] = {}  # HoleState is a value: handing it out is a copy

    def transaction(self) -> AbstractContextManager[Any]:
        """None of its own."""
        return nullcontext()

    def put(self, state: HoleState) -> None:
        """Set."""
        with self._lock:
            self._held[state.session_id] = (state, deadline())

    def read(self, session_id: str) -> HoleState | None:
        """Get."""
        with self._lock:
            return self._living(session_id)

    def change(self, session_id: str, apply: Apply[T]) -> tuple[HoleState, T]:
        """Under the lock."""
        with self._lock:
            state = self._living(session_id)
            if state is None:
                raise SessionExpired
            state, outcome = apply(state)
            self._held[session_id] = (state, deadline())
        return state, outcome

    def refresh(self, session_id: str) -> None:
        """Only what lives."""
        with self._lock:
            if state := self._living(session_id):
                self._held[session_id] = (state, deadline())

    def drop(self, session_id: str) -> None:
        """Pop."""
        with self._lock:
            self._held.pop(session_id, None)

    def _living(self, session_id: str) -> HoleState | None:
        state, deadline = self._held.get(session_id, (None, clock.now()))
        if deadline <= clock.now():
            self._held.pop(session_id, None)
            return None
        return state
