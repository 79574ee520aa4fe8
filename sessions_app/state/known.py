"""States as this process last saw them, so that a write need not ask for the state it changes.

Nothing here is believed: a write names the version it follows, and the database refuses it if that is not the current
one; under a lock a document is taken only by its checksum (STA-66).
"""

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from typing import Final, NamedTuple

from sessions_app.state.canonical import Document
from sessions_app.state.rows import LockedSession
from sessions_app.state.versions import Snapshot

MOST_BYTES: Final = 32 * 2**20  # of canonical text; a document weighs about three times as much in memory


class Known(NamedTuple):
    """An active session, as its row said, and its state, as committed."""

    session: LockedSession
    snapshot: Snapshot
    document: Document


_lock = Lock()
_by_session: OrderedDict[str, Known] = OrderedDict()
_bytes = 0


def find(session_id: str) -> Known | None:
    """What was last remembered of the session, current or not."""
    return _by_session.get(session_id)


def remember(states: Iterable[Known]) -> None:
    """Keep committed states in place of their sessions' last ones; the least recently written ones make room."""
    global _bytes
    with _lock:
        for state in states:
            session_id, canonical = state.snapshot.session_id, state.document.canonical
            if (old := _by_session.pop(session_id, None)) is not None:
                _bytes -= len(old.document.canonical)
            _by_session[session_id] = state
            _bytes += len(canonical)
        while _bytes > MOST_BYTES:
            _bytes -= len(_by_session.popitem(last=False)[1].document.canonical)


def forget(session_ids: Iterable[str]) -> None:
    """Look these up in the database next time."""
    global _bytes
    with _lock:
        for session_id in session_ids:
            if (old := _by_session.pop(session_id, None)) is not None:
                _bytes -= len(old.document.canonical)
