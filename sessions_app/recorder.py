"""The recorder's door for other services (SES-48, SES-49): an event of their own in a session's log."""

from django.db import transaction

from sessions_app import eventlog
from sessions_app.access.auth import Caller
from sessions_app.errors import EventReserved, SessionAlreadyClosed, SessionUserMismatch
from sessions_app.eventlog import Recorded
from sessions_app.events import BOUNDARY_SOURCE, Event
from sessions_app.models import Session

RESERVED_SOURCES = (BOUNDARY_SOURCE, "landmark_extractor")
RESERVED_KINDS = ("session.", "raw_features.")
RESERVED_MEMBER = "raw_features_ref"


@transaction.atomic
def append(event: Event, *, by: Caller) -> Recorded:
    """Append `event` to the log of the session it names.

    Raises EventReserved, ForbiddenPayload, EventTooLarge, RoleForbidden, SessionNotFound, SessionUserMismatch,
    SessionAlreadyClosed and what else `eventlog.append` raises.
    """
    _refuse_reserved(event)
    eventlog.fitting(event)
    by.must_be("service")
    session = Session.objects.lock(event["session_id"])
    if session.user_id != event["user_id"]:
        raise SessionUserMismatch
    if not session.is_active:
        raise SessionAlreadyClosed
    recorded = eventlog.append(session, event)
    session.save_recorded()
    return recorded


def _refuse_reserved(event: Event) -> None:
    if event["source"] in RESERVED_SOURCES or event["event"].startswith(RESERVED_KINDS) or RESERVED_MEMBER in event:
        raise EventReserved
