"""Finding completed captures (GES-53): what a caller may see, and a session's captures page by page."""

import base64
import binascii
import datetime as dt
import uuid

from django.db.models import Q

from gestures.errors import CaptureNotFound
from gestures.models import FeatureRef
from sessions_app.access.auth import Caller
from sessions_app.errors import FieldInvalid
from sessions_app.kinds import FieldError, FieldErrors
from sessions_app.models import Session

PAGE = 50


def visible(record_id: str, *, by: Caller) -> FeatureRef:
    """The capture, if the caller may act for its user; an unknown and a foreign one look alike (CON-7).

    Raises CaptureNotFound.
    """
    ref = FeatureRef.objects.filter(record_id=record_id).first()
    if ref is None or not by.may_act_for(ref.user_id):
        raise CaptureNotFound
    return ref


def page(session: Session, *, limit: int, cursor: str | None) -> tuple[list[FeatureRef], str | None]:
    """Up to `limit` captures after `cursor`, oldest first, and the cursor of the next page if there is one.

    Raises FieldErrors for a cursor that is none of ours.
    """
    captures = FeatureRef.objects.filter(session=session).order_by("created_at", "record_id")
    if cursor is not None:
        at, record_id = _position(cursor)
        captures = captures.filter(Q(created_at__gt=at) | Q(created_at=at, record_id__gt=record_id))
    found = list(captures[: limit + 1])
    more = len(found) > limit
    return found[:limit], _cursor(found[limit - 1]) if more else None


def _cursor(last: FeatureRef) -> str:
    position = f"{last.created_at.isoformat()} {last.record_id}"
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def _position(cursor: str) -> tuple[dt.datetime, uuid.UUID]:
    try:
        position = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, record_id = position.split(" ")
        when = dt.datetime.fromisoformat(at)
        if when.tzinfo is None:
            raise ValueError("no zone")
        return when, uuid.UUID(record_id)
    except (ValueError, binascii.Error) as error:
        raise FieldErrors([FieldError("cursor", FieldInvalid.code, "is not a cursor of this list")]) from error
