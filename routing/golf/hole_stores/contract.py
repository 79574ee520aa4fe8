"""What every store of hole state promises (ADV-34)."""

import datetime as dt
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from django.conf import settings

from routing.golf.hole_state import HoleState
from sessions_app import clock

T = TypeVar("T")
Apply = Callable[[HoleState], tuple[HoleState, T]]


class Store(Protocol):
    """What a store can do; each call raises StoreUnavailable when it cannot."""

    backend: str

    def transaction(self) -> AbstractContextManager[Any]:
        """Where `change` belongs together with rows of PostgreSQL: their transaction, if the store has part in it."""

    def put(self, state: HoleState) -> None:
        """Write a hole anew, whatever was there."""

    def read(self, session_id: str) -> HoleState | None:
        """A copy, or None when there is none or its time is up."""

    def change(self, session_id: str, apply: Apply[T]) -> tuple[HoleState, T]:
        """Replace the state by what `apply` makes of it, as one step. Raises SessionExpired, SessionConflict."""

    def refresh(self, session_id: str) -> None:
        """Let the state live for its full time again."""

    def drop(self, session_id: str) -> None:
        """Forget the hole."""


def deadline() -> dt.datetime:
    """When state accepted now is gone."""
    return clock.now() + dt.timedelta(seconds=settings.HOLE_STATE_TTL_S)
