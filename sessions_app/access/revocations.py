"""Which access tokens are dead before their time (OPS-22): truth is a row, a notice makes it quick.

Each process keeps the revocations in memory. A notice from the one that revoked adds to them at once; whatever a lost
notice left out is read from the rows within REREAD_S.
"""

import datetime as dt
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from django.db import DatabaseError, connection

from sessions_app import clock
from sessions_app.access.tokens import Claims
from sessions_app.models import Revocation

LONGEST_ACCESS_S = 86_400  # OPS-62: no access token lives longer
REREAD_S = 30  # well within the 60 s that OPS-22 and DEV-25 allow without Redis

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Revoked:
    """One revocation: kind `family`, `jti` or `user`, its value, and Unix seconds."""

    kind: str
    value: str
    at: float

    def covers(self, claims: Claims) -> bool:
        """Whether the token with these claims is dead by it; the second of the revocation itself is included."""
        if self.kind == Revocation.Kind.FAMILY:
            return claims.family == self.value
        if self.kind == Revocation.Kind.TOKEN:
            return claims.jti == self.value
        return claims.user_id == self.value and claims.issued_at <= self.at


class _Known:
    """The revocations this process knows."""

    def __init__(self) -> None:
        self.by_key: dict[tuple[str, str], Revoked] = {}
        self.read_at = 0.0
        self.lock = threading.Lock()

    def add(self, found: Iterable[Revoked]) -> None:
        for one in found:
            before = self.by_key.get((one.kind, one.value))
            if before is None or before.at < one.at:
                self.by_key[one.kind, one.value] = one


_known = _Known()


def is_revoked(claims: Claims) -> bool:
    """Whether the token with these claims is dead; touches no database unless the last reading is REREAD_S old."""
    if not is_fresh():
        _reread()
    return covered(claims)


def is_fresh() -> bool:
    """Whether is_revoked would answer from memory."""
    return time.monotonic() - _known.read_at <= REREAD_S


def covered(claims: Claims) -> bool:
    """As is_revoked, from memory alone: for the event loop."""
    keys = (
        (Revocation.Kind.FAMILY.value, claims.family or ""),
        (Revocation.Kind.TOKEN.value, claims.jti),
        (Revocation.Kind.USER.value, claims.user_id),
    )
    return any((found := _known.by_key.get(key)) is not None and found.covers(claims) for key in keys)


def record(found: Iterable[Revoked]) -> None:
    """Write revocations down, in the caller's transaction."""
    rows = [Revocation(kind=one.kind, value=one.value, at=dt.datetime.fromtimestamp(one.at, dt.UTC)) for one in found]
    Revocation.objects.bulk_create(rows)


def note(found: Iterable[Revoked]) -> None:
    """Take a notice into memory."""
    _known.add(found)


def since(at: dt.datetime) -> list[Revoked]:
    """The revocations written since `at`."""
    rows = Revocation.objects.filter(at__gte=at)
    return [Revoked(row.kind, row.value, row.at.timestamp()) for row in rows]


def sweep(at: dt.datetime) -> int:
    """Forget the revocations whose tokens have all expired; how many."""
    return Revocation.objects.filter(at__lt=at - dt.timedelta(seconds=LONGEST_ACCESS_S)).delete()[0]


def refresh() -> None:
    """Read the rows anew. Raises DatabaseError."""
    _known.add(since(clock.now() - dt.timedelta(seconds=LONGEST_ACCESS_S)))
    _known.read_at = time.monotonic()


def _reread() -> None:
    """Refresh unless another thread is at it; with PostgreSQL away what is known goes on counting."""
    if not _known.lock.acquire(blocking=False):
        return
    try:
        refresh()
    except DatabaseError as error:
        log.warning("revocations.not_read", error=str(error))
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
    finally:
        _known.lock.release()


def forget_everything() -> None:
    """Begin as a new process does."""
    _known.by_key.clear()
    _known.read_at = 0.0
