"""Hole state as rows of PostgreSQL: durable, and the default (ADV-33)."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from django.db import InterfaceError, OperationalError, transaction

from routing.errors import SessionExpired, StoreUnavailable
from routing.golf import hole_rows, hole_state
from routing.golf.golf_models import HoleState as Row
from routing.golf.hole_state import HoleState
from routing.golf.hole_stores.contract import Apply, T, deadline
from sessions_app import clock


class DbStore:
    """Rows; `change` holds the row's lock."""

    backend = "db"

    def transaction(self) -> AbstractContextManager[Any]:
        """The rows' own."""
        return transaction.atomic()

    def put(self, state: HoleState) -> None:
        """One row for each session."""
        with _database():
            Row.objects.update_or_create(
                session_id=state.session_id,
                defaults={"document": hole_state.to_document(state), "expires_at": deadline()},
            )

    def read(self, session_id: str) -> HoleState | None:
        """Without a lock."""
        with _database():
            row = Row.objects.filter(session_id=session_id, expires_at__gt=clock.now()).first()
        return hole_state.from_document(row.document) if row else None

    def change(self, session_id: str, apply: Apply[T]) -> tuple[HoleState, T]:
        """Serialised by the row."""
        with _database(), transaction.atomic(savepoint=False):
            document = hole_rows.lock_document(session_id)
            if document is None:
                raise SessionExpired
            state, outcome = apply(hole_state.from_document(document))
            hole_rows.write_document(session_id, hole_state.to_document(state), until=deadline())
        return state, outcome

    def refresh(self, session_id: str) -> None:
        """Only a row whose time is not up."""
        with _database():
            rows = Row.objects.filter(session_id=session_id, expires_at__gt=clock.now())
            rows.update(expires_at=deadline())

    def drop(self, session_id: str) -> None:
        """Delete the row."""
        with _database():
            Row.objects.filter(session_id=session_id).delete()


@contextmanager
def _database() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise StoreUnavailable from error
