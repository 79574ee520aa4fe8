"""Wire shapes of the pod endpoints, members in the order of the contract's tables (POD section 2)."""

import re
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field

from routing.pod.pod_states import State
from sessions_app import ids
from sessions_app.errors import FieldInvalid
from sessions_app.http.bodies import WireSerializer
from sessions_app.http.fields import ActorId, SessionId, WireField
from sessions_app.kinds import FieldError, FieldErrors

MOST_MESSAGE_CHARACTERS = 16_384
MOST_MESSAGE_BYTES = 65_000
MOST_WAIT_S = 25.0  # POD-21
MESSAGES_PER_PAGE, MOST_MESSAGES = 50, 200
SESSIONS_PER_PAGE = 1000  # POD-30: the most, and what is shown by default
MOST_OFFSET = 2**31 - 1

_WHOLE = re.compile(r"\d{1,18}\Z", re.ASCII)
_SECONDS = re.compile(r"\d{1,3}(\.\d{1,3})?\Z", re.ASCII)
_KEY = re.compile(r"[\x21-\x7e]{1,128}\Z", re.ASCII)


@extend_schema_field(OpenApiTypes.STR)
class ChatText(WireField):
    """What a person says to the pod."""

    def read(self, value: Any) -> str:
        """A text that the queue and the pod can carry."""
        if not isinstance(value, str):
            raise ValueError("must be a string")
        if not 1 <= len(value) <= MOST_MESSAGE_CHARACTERS or not value.strip():
            raise ValueError(f"must have 1 to {MOST_MESSAGE_CHARACTERS} characters that are not all blank")
        if "\x00" in value:
            raise ValueError("must not hold U+0000")
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise ValueError("must not hold a lone surrogate") from None
        if size > MOST_MESSAGE_BYTES:
            raise ValueError(f"must have at most {MOST_MESSAGE_BYTES} bytes as UTF-8")
        return value


class CreateSessionIn(WireSerializer):
    """Body of `POST /session/create`."""

    user_id = ActorId()
    uuid = SessionId(required=False)


class ChatIn(WireSerializer):
    """Body of `POST /session/{id}/chat`."""

    message = ChatText()


def messages_query(query: Any) -> dict[str, Any]:
    """`after`, `limit` and `wait` (s) of the poll. Raises FieldErrors."""
    return {
        "after": _whole(query, "after", 0, least=0, most=2**53 - 1),
        "limit": _whole(query, "limit", MESSAGES_PER_PAGE, least=1, most=MOST_MESSAGES),
        "wait": _seconds(query, "wait", most=MOST_WAIT_S),
    }


def sessions_query(query: Any) -> dict[str, Any]:
    """`user_id`, `status`, `limit` and `offset` of the list. Raises FieldErrors."""
    user_id, status = query.get("user_id"), query.get("status")
    if user_id is not None and not ids.is_actor_id(user_id):
        raise _refused("user_id", "has the wrong form")
    if status is not None and status not in list(State):
        raise _refused("status", f"must be one of: {', '.join(list(State))}")
    return {
        "user_id": user_id,
        "status": status,
        "limit": _whole(query, "limit", SESSIONS_PER_PAGE, least=1, most=SESSIONS_PER_PAGE),
        "offset": _whole(query, "offset", 0, least=0, most=MOST_OFFSET),
    }


def idempotency_key(text: str | None) -> str | None:
    """The header's value, if it was sent. Raises FieldErrors."""
    if text is not None and not _KEY.match(text):
        raise _refused("Idempotency-Key", "has 1 to 128 visible ASCII characters")
    return text


def _whole(query: Any, name: str, default: int, *, least: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not _WHOLE.match(text) or not least <= int(text) <= most:
        raise _refused(name, f"must be an integer from {least} to {most}")
    return int(text)


def _seconds(query: Any, name: str, *, most: float) -> float:
    text = query.get(name, "0")
    if not _SECONDS.match(text) or float(text) > most:
        raise _refused(name, f"must be a number from 0 to {most:g}")
    return float(text)


def _refused(field: str, detail: str) -> FieldErrors:
    return FieldErrors([FieldError(field, FieldInvalid.code, detail)])
