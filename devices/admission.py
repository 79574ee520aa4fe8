"""AUTH: who connects, as which device, to which session (DEV-15 to DEV-19, DEV-70). Check, write, tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.db import IntegrityError
from django.http import HttpRequest

from devices.errors import DeviceMismatch
from sessions_app import ids, sessions
from sessions_app.access import auth
from sessions_app.access.auth import ANONYMOUS, Caller
from sessions_app.errors import RoleForbidden, SessionIdInvalid, SessionNotFound
from sessions_app.kinds import Unauthenticated
from sessions_app.models import Session
from sessions_app.protocol import Message
from sessions_app.sockets.socket_errors import BadFrame

DEVICE_TEXTS = {"device_type": 32, "device_name": 128, "os_version": 64, "app_version": 64}  # DEV-6, characters


@dataclass(frozen=True, slots=True)
class Admission:
    """Whom AUTH lets in; on the admin channel without session and device."""

    caller: Caller
    user_id: str
    session_id: str = ""  # empty if none is named
    device_id: str = ""
    says: dict[str, Any] | None = None  # the device's texts
    is_admin: bool = False


def admit(message: Message, *, staff_cookie: str | None = None) -> Admission:
    """Verify the token, then settle user and device; the session is the one named, which may not exist.

    Touches no database for a token while revocations are fresh. `staff_cookie` is the session cookie of a handshake
    whose Origin was accepted. Raises Unauthenticated, BadFrame, SessionIdInvalid, RoleForbidden, DeviceMismatch.
    """
    if message.payload.get("channel") == "admin":
        caller = _admin(message, staff_cookie)
        return Admission(caller, caller.user_id, is_admin=True)
    caller = _caller(message)
    user_id = _user(message, caller)
    device_id = _device(message, caller)
    says = {name: message.text(name, most=most) for name, most in DEVICE_TEXTS.items()}
    return Admission(caller, user_id, _session(message, caller), device_id, says)


def readmit(message: Message, before: Admission) -> Admission:
    """A new token on an authenticated socket: same user, same device, same session if one is named (DEV-23).

    A user acted for need not be named again (DEV-10). Raises Unauthenticated, BadFrame, RoleForbidden, DeviceMismatch.
    """
    if before.is_admin:
        caller = _admin(message, None)
        user_id, device_id = caller.user_id, ""
    else:
        caller = _caller(message)
        user_id = before.user_id if message.user_id is None else _user(message, caller)
        device_id = _device(message, caller)
    if (user_id, caller.user_id) != (before.user_id, before.caller.user_id) or not caller.may_act_for(user_id):
        raise RoleForbidden("The token is another user's.")
    if device_id != before.device_id:
        raise DeviceMismatch
    if message.session_id not in (None, before.session_id):
        raise RoleForbidden("The connection belongs to another session.")
    return Admission(caller, user_id, before.session_id, before.device_id, is_admin=before.is_admin)


def owners(session_ids: Sequence[str]) -> list[str | None]:
    """The user of each session; None for one that does not exist."""
    found = dict(Session.objects.filter(pk__in=set(session_ids)).values_list("pk", "user_id"))
    return [found.get(session_id) for session_id in session_ids]


def settle(admission: Admission) -> str:
    """The session to join where none is named or the named one does not exist, opened if need be (DEV-18, DEV-19).

    Raises SessionNotFound, RecorderUnavailable.
    """
    named = admission.session_id
    if not named:
        latest = Session.objects.active().filter(user_id=admission.user_id).order_by("-start_time").first()
        return (latest or _open(admission)).session_id
    session = _open(admission) if ids.is_canonical_uuid(named) else None
    if session is None or session.user_id != admission.user_id:
        raise SessionNotFound
    return session.session_id


def _caller(message: Message) -> Caller:
    token = message.payload.get("token")
    if token:
        if not isinstance(token, str):
            raise Unauthenticated
        return auth.from_token(token)
    if settings.AUTH_REQUIRED:
        raise Unauthenticated
    return ANONYMOUS


def _admin(message: Message, staff_cookie: str | None) -> Caller:
    """The caller of the admin channel (DEV-70). Raises Unauthenticated, RoleForbidden."""
    if not message.payload.get("token"):
        return _staff(staff_cookie)
    caller = _caller(message)
    if "admin" not in caller.roles:
        raise RoleForbidden
    return caller


def _staff(cookie: str | None) -> Caller:
    """The staff user of a Django session. Raises Unauthenticated, RoleForbidden."""
    if cookie is None:
        raise Unauthenticated
    request = HttpRequest()
    request.session = SessionStore(cookie)
    user = get_user(request)
    if not user.is_authenticated or not user.is_active:
        raise Unauthenticated
    if not user.is_staff:
        raise RoleForbidden
    return Caller(user_id=user.get_username(), roles=frozenset({"admin"}))


def _user(message: Message, caller: Caller) -> str:
    """The user acted for (DEV-17)."""
    named = message.user_id
    if named is None and not caller.is_anonymous:
        return caller.user_id
    if not ids.is_actor_id(named):
        raise BadFrame("user_id has the wrong form")
    if not caller.may_act_for(named):
        raise RoleForbidden("The token is another user's.")
    return str(named)


def _device(message: Message, caller: Caller) -> str:
    """The connecting device (DEV-16)."""
    named = message.payload.get("device_id")
    if named is None and caller.device_id is None:
        raise BadFrame("device_id is missing")
    if named is not None and not ids.is_actor_id(named):
        raise BadFrame("device_id has the wrong form")
    if named is not None and caller.device_id not in (None, named):
        raise DeviceMismatch
    return str(named or caller.device_id)


def _session(message: Message, caller: Caller) -> str:
    """The session that envelope or token names, empty for none (DEV-18)."""
    named = message.session_id if message.session_id is not None else caller.session_id
    if named is None:
        return ""
    if not ids.is_session_id(named):
        raise SessionIdInvalid
    return str(named)


def _open(admission: Admission) -> Session:
    try:
        return sessions.open_implicitly(
            user_id=admission.user_id, by=admission.caller, via="ws", session_id=admission.session_id or None,
            device_id=admission.device_id, performer_id=admission.user_id if admission.caller.is_anonymous else None,
        )  # fmt: skip
    except IntegrityError:
        if not admission.session_id:
            raise
        return Session.objects.get(pk=admission.session_id)  # another connection has just opened it
