"""What an administrator tells many at once (DEV-73). Kept nowhere: who is not connected does not hear it."""

from typing import Any, Final

from sessions_app import broadcast, jsonwire
from sessions_app.errors import BodyTooLarge, FieldMissing, SessionNotFound
from sessions_app.fanout import frames, hub
from sessions_app.kinds import FieldError, FieldErrors
from sessions_app.models import Session

MAX_DATA_BYTES: Final = 16_384


def announce(
    *,
    message: str,
    type: str = "notification",
    data: dict[str, Any] | None = None,
    audience: str = "admin",
    session_id: str | None = None,
    user_id: str | None = None,
) -> dict[str, Any]:
    """Tell an audience: `admin` by ADMIN_UPDATE, `session`, `user` and `all` by BROADCAST.

    Raises BodyTooLarge, FieldErrors, SessionNotFound; RedisUnavailable, and then nobody was told.
    """
    if data is not None and len(jsonwire.dumps(data)) > MAX_DATA_BYTES:
        raise BodyTooLarge(f"data may have {MAX_DATA_BYTES} bytes")
    make = frames.admin_update if audience == "admin" else frames.broadcast
    frame = make(type, message, data)
    delivered = broadcast.announce(_audience(audience, session_id, user_id), frame)
    told = {name: frame.payload[name] for name in ("id", "type", "message")}
    return {**told, "audience": audience, "delivered": delivered, "sent_at": frame.payload["sent_at"]}


def _audience(audience: str, session_id: str | None, user_id: str | None) -> str:
    if audience == "session":
        if session_id is None:
            raise FieldErrors([FieldError("session_id", FieldMissing.code, "names the session of this audience")])
        if not Session.objects.filter(pk=session_id).exists():
            raise SessionNotFound
        return hub.session(session_id)
    if audience == "user":
        if user_id is None:
            raise FieldErrors([FieldError("user_id", FieldMissing.code, "names the user of this audience")])
        return hub.user(user_id)
    return audience
