"""Writes tried on what the process remembers of their sessions, without a lock (STA-64).

Three steps, the middle one the caller's: they are computed in memory, one statement commits those that follow what is
current, and what came of each is settled.
"""

from collections.abc import Mapping, Sequence, Set
from typing import Final

from sessions_app import snapshots
from sessions_app.prepared import Query
from sessions_app.state import known
from sessions_app.state.batch import Batch
from sessions_app.state.operations import Operation, Outcome
from sessions_app.state.versions import COMPRESSED_ABOVE_BYTES

QUICK_BYTES: Final = COMPRESSED_ABOVE_BYTES  # zlib takes longer than all the rest


def are_quick(operations: Sequence[Operation]) -> bool:
    """Whether computing them may be left to an event loop: no large state, request or patch is among them."""
    return all(
        operation.sent_bytes <= QUICK_BYTES and not operation.write.amplifies and not _meets_large(operation)
        for operation in operations
    )


def _meets_large(operation: Operation) -> bool:
    """Whether it changes a large state; one that it may not see takes no longer to refuse than none (STA-9)."""
    state = known.find(operation.session_id)
    if state is None or len(state.document.canonical) <= QUICK_BYTES:
        return False
    return operation.may_see(state.session.user_id)


class Attempt:
    """Some operations, done in memory as far as that suffices; those on one session together and in order.

    It does not suffice for a refusal, a repeat or an answer without a version, nor for a session the process does not
    know.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._count = len(operations)
        self._places: dict[str, list[int]] = {}
        for place, operation in enumerate(operations):
            self._places.setdefault(operation.session_id, []).append(place)
        self.due: list[Query] = []  # once it is settled: the housekeeping, for when nobody waits any more
        self._batch = Batch.remembered(self._places)
        self._made: Mapping[str, Sequence[Outcome]] = {
            name: made
            for name, places in self._places.items()
            if (made := self._batch.attempt([operations[place] for place in places]))
        }

    def query(self) -> Query | None:
        """What commits them, and says in which sessions it did; None if there is nothing to commit."""
        return self._batch.following()

    def settle(self, written: Set[str]) -> list[Outcome | None]:
        """Let the versions of the sessions that were `written` be known and told; returns what came of each operation.

        None for what did not come about: it is for snapshots.commit. Some of that may be old news to the process, and
        is forgotten.
        """
        results: list[Outcome | None] = [None] * self._count
        for name in written:
            for place, outcome in zip(self._places[name], self._made[name], strict=True):
                results[place] = outcome
        self._batch.keep(written)
        snapshots.tell(results)
        known.forget(self._made.keys() - written)
        self.due = self._batch.housekeeping()
        self._batch.remember()
        return results

    def forget(self) -> None:
        """Look the sessions up in the database next time."""
        known.forget(self._places)
