"""The boundaries of a session (SES-9 to SES-36): start, end, implicit opening, timeout. Check, write, append, tell."""

import uuid
from typing import TYPE_CHECKING, Any

import psycopg
from django.db import IntegrityError, transaction

from sessions_app import broadcast, clock, eventlog, events, faults, ids
from sessions_app.errors import SessionAlreadyActive, SessionAlreadyClosed, SessionNotFound, SessionUserMismatch
from sessions_app.events import Event
from sessions_app.models import ONE_ACTIVE, Session, State

if TYPE_CHECKING:
    from sessions_app.access.auth import Caller

SYSTEM = "system"


def start(*, user_id: str, performer_id: str, by: "Caller", **details: Any) -> Event:
    """Open the user's exclusive session and record its start; returns the recorded event.

    `details` are the optional members of SES-9. Raises UserNotAllowed, SessionAlreadyActive, RecorderUnavailable.
    """
    by.must_act_for(user_id)
    with transaction.atomic():
        session = _insert(
            Session(
                session_id=ids.new_session_id(), user_id=user_id, performer_id=performer_id, exclusive=True,
                opened_via="sessions.start", opened_by=by.name, **details,
            )
        )  # fmt: skip
        return _record_start(session)


def open_implicitly(
    *,
    user_id: str,
    by: "Caller",
    via: str,
    session_id: str | None = None,
    performer_id: str | None = None,
    **details: Any,
) -> Session:
    """Open a session that is not exclusive (SES-28), under `session_id` or a fresh id, and record its start.

    Joins the caller's transaction. The performer is the caller, or `system` for a service. Raises RecorderUnavailable,
    and IntegrityError if another transaction has just opened `session_id`.
    """
    performer = performer_id or (SYSTEM if by.is_service else by.user_id) or user_id
    with transaction.atomic():
        session = _insert(
            Session(
                session_id=session_id or ids.new_session_id(), user_id=user_id, performer_id=performer,
                opened_via=via, opened_by=by.name, **details,
            )
        )  # fmt: skip
        _record_start(session)
        return session


def end(session_id: str, *, user_id: str, performer_id: str, by: "Caller") -> Event:
    """Close any session of the user and record its end; returns the recorded event.

    Raises UserNotAllowed, SessionNotFound, SessionUserMismatch, SessionAlreadyClosed, RecorderUnavailable.
    """
    by.must_act_for(user_id)
    with transaction.atomic():
        session = Session.objects.lock(session_id)
        if session.user_id != user_id:
            raise SessionUserMismatch
        return close(session, performer_id=performer_id, closed_by=by.name, reason=Session.EndReason.REQUESTED)


def close(session: Session, *, performer_id: str, closed_by: str, reason: str) -> Event:
    """Close a session whose row the caller's transaction has locked, and record its end.

    An end line that a crash left behind is applied instead of writing a second one (SES-34).
    Raises SessionAlreadyClosed, RecorderUnavailable.
    """
    if not session.is_active:
        raise SessionAlreadyClosed
    _seal(session)
    event = events.session_end(session, at=clock.stamp(clock.now()), performer_id=performer_id, reason=reason)
    faults.reach("end.before_append")
    recorded = eventlog.append_end(session, event)
    faults.reach("end.after_append")
    apply_end(session, recorded, closed_by=closed_by)
    faults.reach("end.before_commit")
    broadcast.session_ended(session)
    return recorded


def apply_end(session: Session, event: Event, *, closed_by: str) -> None:
    """Make the row say what the recorded end event says."""
    _seal(session)
    session.status = Session.Status.CLOSED
    session.end_time = clock.parse(event["end_time"])
    session.end_record_id = uuid.UUID(event["record_id"])
    session.end_reason = event["end_reason"]
    session.closed_by = closed_by
    session.save_recorded("status", "end_time", "end_record_id", "end_reason", "closed_by")


def validate(session_id: str, *, user_id: str, by: "Caller") -> str:
    """`active` or `closed` if the caller may know, else `invalid`; changes nothing (SES-22)."""
    session = Session.objects.filter(session_id=session_id).only("user_id", "status").first()
    if session is None or session.user_id != user_id or not by.may_act_for(user_id):
        return "invalid"
    return str(session.status)


def visible(session_id: str, *, by: "Caller") -> Session:
    """The session, if the caller may act for its owner; an unknown and a foreign one look alike (CON-7).

    Raises SessionNotFound.
    """
    session = Session.objects.filter(session_id=session_id).first()
    if session is None or not by.may_act_for(session.user_id):
        raise SessionNotFound
    return session


def _seal(session: Session) -> None:
    """Wait for the write that is under way and let none follow, so that no version is later than the end."""
    State.objects.filter(pk=session.session_id, is_sealed=False).update(is_sealed=True)


def _insert(session: Session) -> Session:
    """Write the new row; the database decides who is first (SES-13)."""
    session.start_time = session.last_activity_at = clock.now()
    session.start_record_id = uuid.UUID(ids.new_record_id())
    try:
        with transaction.atomic():
            session.save(force_insert=True)
    except IntegrityError as error:
        if not _violates(error, ONE_ACTIVE):
            raise
        active = Session.objects.active().filter(user_id=session.user_id, exclusive=True).first()
        if active is not None:
            raise SessionAlreadyActive(session_id=active.session_id) from None
        return _insert(session)  # it has ended meanwhile
    return session


def _violates(error: IntegrityError, constraint: str) -> bool:
    cause = error.__cause__
    return isinstance(cause, psycopg.Error) and cause.diag.constraint_name == constraint


def _record_start(session: Session) -> Event:
    event = events.session_start(session)
    faults.reach("start.before_append")
    recorded = eventlog.append_start(session, event)
    faults.reach("start.before_commit")
    if recorded != event:  # a crash left this line of a client-chosen id behind: the log is the record
        session.start_time = clock.parse(recorded["start_time"])
        session.start_record_id = uuid.UUID(recorded["record_id"])
    session.save_recorded("start_time", "start_record_id")
    broadcast.session_started(session)
    return recorded
