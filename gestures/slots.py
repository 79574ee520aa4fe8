"""Admission to a session's one capture slot (GES-9, GES-18, SES-51): a lease in PostgreSQL, renewed while it captures.

Ephemeral: a slot leaves no line in the log, and a process that dies frees its slots by not renewing them.
"""

import datetime as dt
import uuid

from django.db import IntegrityError, transaction

from gestures import errors
from gestures.machine.moves import Open
from gestures.models import CaptureSlot, FeatureRef
from sessions_app import clock
from sessions_app.access.auth import Caller
from sessions_app.models import Session

LEASE_S = 20.0  # renewed every 5 s (GES-4); three renewals may be late


def take(opened: Open, *, holder: uuid.UUID, by: Caller) -> None:
    """Reserve the session's slot for one capture and note the session's activity.

    Raises UserNotAllowed, SessionInvalid, SessionClosed, RecordIdUsed, CaptureInProgress, in this order.
    """
    by.must_act_for(opened.user_id)
    session = active_session(opened.session_id, user_id=opened.user_id)
    if FeatureRef.objects.filter(record_id=opened.record_id).exists():
        raise errors.RecordIdUsed
    _insert(opened, holder)
    session.touch()


def active_session(session_id: str, *, user_id: str) -> Session:
    """The user's session, if it still takes captures. Raises SessionInvalid, SessionClosed."""
    session = Session.objects.filter(session_id=session_id).first()
    if session is None or session.user_id != user_id:
        raise errors.SessionInvalid
    if not session.is_active:
        raise errors.SessionClosed
    return session


def keep(opened: Open, *, holder: uuid.UUID) -> None:
    """Renew the lease and note the session's activity. Raises SessionInvalid, SessionClosed."""
    session = active_session(opened.session_id, user_id=opened.user_id)
    CaptureSlot.objects.filter(session=session, holder=holder).update(expires_at=_expiry())
    session.touch()


def free(session_id: str, *, holder: uuid.UUID) -> None:
    """Give the slot back; one that another capture holds by now stays."""
    CaptureSlot.objects.filter(session_id=session_id, holder=holder).delete()


def _insert(opened: Open, holder: uuid.UUID) -> None:
    CaptureSlot.objects.filter(session_id=opened.session_id, expires_at__lt=clock.now()).delete()
    slot = CaptureSlot(session_id=opened.session_id, record_id=opened.record_id, holder=holder, expires_at=_expiry())
    try:
        with transaction.atomic():
            slot.save(force_insert=True)
    except IntegrityError as error:
        raise errors.CaptureInProgress from error


def _expiry() -> dt.datetime:
    return clock.now() + dt.timedelta(seconds=LEASE_S)
