"""Requests that may be sent twice: answers kept under the caller's Idempotency-Key for a day (STA-55, STA-56)."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection

from sessions_app.models import IdempotentAnswer
from sessions_app.state.state_errors import IdempotencyKeyReused

KEPT_FOR = dt.timedelta(hours=24)

# A lock for each key, in one order everywhere: duplicates wait for the first, whatever session they name.
_LOCK = """
SELECT pg_advisory_xact_lock(k) FROM (
    SELECT hashtextextended(scope || ' ' || key, 0) AS k FROM unnest(%s::text[], %s::text[]) AS r(scope, key) ORDER BY 1
) AS ordered"""

_FIND = """
SELECT scope, key, digest, status, etag, location, body FROM sessions_app_idempotentanswer
WHERE (scope, key) IN (SELECT * FROM unnest(%s::text[], %s::text[])) AND created_at > %s"""


@dataclass(frozen=True, slots=True)
class Repeat:
    """What an Idempotency-Key stands for; `digest` is of method, path, media type and canonical body."""

    scope: str  # the caller
    key: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer to a write: all of it that depends on the write."""

    status: int
    body: bytes
    etag: str
    location: str | None = None


class Memory:
    """The kept answers a batch may need, and those it adds; their keys stay locked until the transaction ends."""

    def __init__(self, repeats: Iterable[Repeat], at: dt.datetime) -> None:
        self._at = at
        self._kept: dict[tuple[str, str], tuple[bytes, Answer]] = {}
        self._new: dict[tuple[str, str], tuple[bytes, Answer]] = {}
        if keys := sorted({(repeat.scope, repeat.key) for repeat in repeats}):
            self._load(keys)

    def recall(self, repeat: Repeat) -> Answer | None:
        """The answer this request had before. Raises IdempotencyKeyReused if the key stood for another request."""
        if (found := self._kept.get((repeat.scope, repeat.key))) is None:
            return None
        digest, answer = found
        if digest != repeat.digest:
            raise IdempotencyKeyReused
        return answer

    def keep(self, repeat: Repeat, answer: Answer) -> None:
        """Remember the answer, for this batch at once and for all others with save()."""
        self._kept[repeat.scope, repeat.key] = self._new[repeat.scope, repeat.key] = (repeat.digest, answer)

    def save(self) -> None:
        """Write the new answers; one that had run out is overwritten."""
        IdempotentAnswer.objects.bulk_create(
            [
                IdempotentAnswer(
                    scope=scope, key=key, digest=digest, status=answer.status, etag=answer.etag,
                    location=answer.location, body=answer.body, created_at=self._at,
                )
                for (scope, key), (digest, answer) in self._new.items()
            ],
            update_conflicts=True,
            unique_fields=["scope", "key"],
            update_fields=["digest", "status", "etag", "location", "body", "created_at"],
        )  # fmt: skip

    def _load(self, keys: Sequence[tuple[str, str]]) -> None:
        columns = [list(column) for column in zip(*keys, strict=True)]
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, columns)
            cursor.execute(_FIND, [*columns, self._at - KEPT_FOR])
            for scope, key, digest, status, etag, location, body in cursor.fetchall():
                self._kept[scope, key] = (bytes(digest), Answer(status, bytes(body), etag, location))


def forget(before: dt.datetime) -> int:
    """Delete the answers that have run out; returns how many."""
    return IdempotentAnswer.objects.filter(created_at__lte=before - KEPT_FOR).delete()[0]
