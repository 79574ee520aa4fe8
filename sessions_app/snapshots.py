"""The state of a session: one verb writes it, whoever asks and through whichever door (STA-62 to STA-64)."""

from collections.abc import Sequence
from functools import partial

from django.db import transaction

from sessions_app import broadcast
from sessions_app.batch import Batch
from sessions_app.errors import DomainError, SessionNotFound
from sessions_app.operations import Operation, Outcome

Result = Outcome | DomainError


def commit(operations: Sequence[Operation]) -> list[Result]:
    """Write many operations in one transaction; returns, in their order, what came of each.

    Operations on one session are done in the given order, one version each; a refused one harms no other. If the
    transaction itself fails this raises, and nothing was written. Frames leave after the commit (STA-63).
    """
    results: list[Result] = [SessionNotFound()] * len(operations)
    with transaction.atomic():
        batch = Batch(operations)
        # Session by session: every process then opens new sessions in one order.
        for index in sorted(range(len(operations)), key=lambda index: operations[index].session_id):
            try:
                results[index] = batch.perform(operations[index])
            except DomainError as error:
                results[index] = error
        batch.save()
        transaction.on_commit(batch.remember)
        made = [result for result in results if isinstance(result, Outcome) and result.version and not result.duplicate]
        transaction.on_commit(partial(broadcast.versions_committed, made), robust=True)
    return results
