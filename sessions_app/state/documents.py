"""Documents this process has in memory, so that an update need not fetch and parse the state it changes.

A document is found by its checksum under the row's lock, so a stale one is never taken for the current (STA-66).
"""

from collections import OrderedDict
from threading import Lock
from typing import Final

from sessions_app.state.canonical import Document

MOST_BYTES: Final = 32 * 2**20  # of canonical text; a document weighs about three times as much in memory

_lock = Lock()
_by_session: OrderedDict[str, Document] = OrderedDict()
_bytes = 0


def find(session_id: str) -> Document | None:
    """The document last remembered for the session, current or not."""
    return _by_session.get(session_id)


def remember(session_id: str, document: Document) -> None:
    """Keep a committed document in place of the session's last one; the least recently written ones make room."""
    global _bytes
    with _lock:
        if (old := _by_session.pop(session_id, None)) is not None:
            _bytes -= len(old.canonical)
        _by_session[session_id] = document
        _bytes += len(document.canonical)
        while _bytes > MOST_BYTES:
            _bytes -= len(_by_session.popitem(last=False)[1].canonical)
