"""AUTH: who connects, as which device, to which session (DEV-15 to DEV-19, DEV-70). Check, write, tell."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.db import IntegrityError
from django.http import HttpRequest

from devices import presence
from devices.errors import DeviceMismatch
from devices.leases import Holder
from devices.models import Device
from sessions_app import clock, ids, sessions
from sessions_app.access import auth
from sessions_app.access.auth import ANONYMOUS, Caller
from sessions_app.errors import RoleForbidden, SessionAlreadyClosed, SessionIdInvalid, SessionNotFound
from sessions_app.fanout import resume
from sessions_app.fanout.resume import Standing
from sessions_app.kinds import Unauthenticated
from sessions_app.models import ACTIVITY_NOTED_EVERY, Session
from sessions_app.protocol import Message
from sessions_app.sockets.socket_errors import BadFrame

DEVICE_TEXTS = {"device_type": 32, "device_name": 128, "os_version": 64, "app_version": 64}  # DEV-6, characters


@dataclass(frozen=True, slots=True)
class Admission:
    """Whom AUTH lets in; on the admin channel without session and device."""

    caller: Caller
    user_id: str
    session_id: str = ""
    device_id: str = ""
    says: dict[str, Any] | None = None  # the device's texts

    @property
    def is_admin(self) -> bool:
        """Whether this is the admin channel."""
        return not self.session_id


def admit(message: Message, *, staff_cookie: str | None = None) -> Admission:
    """Verify the token, then settle user, device and session; a session that has to be opened is.

    `staff_cookie` is the session cookie of a handshake whose Origin was accepted. Raises Unauthenticated, BadFrame,
    SessionIdInvalid, RoleForbidden, DeviceMismatch, SessionNotFound, SessionAlreadyClosed, RecorderUnavailable.
    """
    if message.payload.get("channel") == "admin":
        caller = _admin(message, staff_cookie)
        return Admission(caller, caller.user_id)
    caller = _caller(message)
    user_id = _user(message, caller)
    device_id = _device(message, caller)
    says = {name: message.text(name, most=most) for name, most in DEVICE_TEXTS.items()}
    session = _session(message, caller, user_id, device_id)
    return Admission(caller, user_id, session.session_id, device_id, says)


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
    return Admission(caller, user_id, before.session_id, before.device_id)


def attach(
    admission: Admission, holder: Holder, says: dict[str, Any], *, wanted: Any, replaced_here: str | None
) -> Standing:
    """Make the device known and present, and read where the state stands.

    The session's frames must be arriving already; `wanted` is AUTH's `resume`.
    Raises SessionAlreadyClosed, TooManyConnections.
    """
    at = clock.now()
    session = Session.objects.only("status", "last_activity_at").get(pk=holder.session_id)
    if not session.is_active:
        raise SessionAlreadyClosed
    if at - session.last_activity_at >= ACTIVITY_NOTED_EVERY:
        session.touch(at)
    epoch, seq = _resume_point(wanted)
    standing = resume.since(holder.session_id, epoch=epoch, seq=seq, most=settings.RESUME_MAX_GAP)
    Device.objects.connected(holder.session_id, holder.device_id, says=admission.says or {}, at=at)
    presence.join(holder, says, replaced_here=replaced_here)  # last: whoever is told of it is really in
    return standing


def _resume_point(wanted: Any) -> tuple[str | None, int]:
    """Epoch and seq of a well-formed `resume`; what is malformed names a state that never was (DEV-48)."""
    if isinstance(wanted, dict) and isinstance(wanted.get("epoch"), str) and type(wanted.get("seq")) is int:
        return wanted["epoch"], wanted["seq"]
    return None, 0


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


def _session(message: Message, caller: Caller, user_id: str, device_id: str) -> Session:
    """The session to join, first that applies of DEV-18; an unknown UUID and no session at all open one (DEV-19)."""
    named = message.session_id if message.session_id is not None else caller.session_id
    if named is None:
        latest = Session.objects.active().filter(user_id=user_id).order_by("-start_time").first()
        return latest or _open(caller, user_id, device_id, None)
    if not ids.is_session_id(named):
        raise SessionIdInvalid
    session = Session.objects.filter(pk=named).first()
    if session is None and ids.is_canonical_uuid(named):
        session = _open(caller, user_id, device_id, named)
    if session is None or session.user_id != user_id:
        raise SessionNotFound
    if not session.is_active:
        raise SessionAlreadyClosed
    return session


def _open(caller: Caller, user_id: str, device_id: str, session_id: str | None) -> Session:
    try:
        return sessions.open_implicitly(
            user_id=user_id, by=caller, via="ws", session_id=session_id, device_id=device_id,
            performer_id=user_id if caller.is_anonymous else None,
        )  # fmt: skip
    except IntegrityError:
        if session_id is None:
            raise
        return Session.objects.get(pk=session_id)  # another connection has just opened it
