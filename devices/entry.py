"""How a socket joins its session and leaves it (DEV-21 to DEV-23, DEV-30): the order in which things happen."""

from typing import Any

import structlog
from django.conf import settings

from devices import admission, presence
from devices.admission import Admission
from devices.attachment import Entrant
from devices.leases import Holder
from devices.reception import Reception
from sessions_app import broadcast, clock
from sessions_app.errors import SessionNotFound
from sessions_app.fanout import frames, hub, resume
from sessions_app.fanout.resume import Position, Standing
from sessions_app.kinds import DomainError
from sessions_app.protocol import Frame, Message
from sessions_app.sockets.connection import Connection
from sessions_app.sockets.threads import cross

# What DEVICE_LEFT says, by the server's close code (DEV-30); None where the lease is not the connection's any more.
_REASONS = {4400: "error", 4403: "revoked", 4404: "closed", 4408: "timeout", 4409: None, 4410: None, 4411: "revoked",
            4412: "revoked", 4429: "error", 4430: "error"}  # fmt: skip
_FAREWELLS = (1000, 1001, 1005)  # close codes of a client that leaves on purpose; 1005 stands for none

log = structlog.get_logger(__name__)


async def enter(one: Connection, here: Reception, admitted: Admission, message: Message) -> None:
    """Take part: hear the session's frames, read its state, answer, bring the client up to date, go on from there.

    Raises what refuses the session (DEV-19) and TooManyConnections; nothing is left behind then.
    """
    if admitted.is_admin:
        one.become("", admitted.user_id, "")
        here.authenticated(one, admitted.caller)
        one.answer(_success(one, admitted, resume.NOWHERE), message.correlation_id)
    else:
        one.become(await _session(here, admitted), admitted.user_id, admitted.device_id)
        await _enter_session(one, here, admitted, message)
    broadcast.to_admin(frames.admin_update("connection_opened", "A connection has opened.", _about(one)))


async def _session(here: Reception, admitted: Admission) -> str:
    """The session to join; whether it is open is asked once its frames arrive. Raises SessionNotFound."""
    owner = await here.owners.ask(admitted.session_id) if admitted.session_id else None
    if owner is None:
        return await cross(admission.settle, admitted)
    if owner != admitted.user_id:
        raise SessionNotFound
    return admitted.session_id


async def _enter_session(one: Connection, here: Reception, admitted: Admission, message: Message) -> None:
    one.hold()
    feed = here.join(one)
    says = {**(admitted.says or {}), "user_id": one.user_id, "connected_at": clock.stamp(clock.now())}
    wanted = message.payload.get("resume")
    try:
        await here.hub.bus.subscribed(hub.channel(hub.session(feed.session_id)))
        entrant = Entrant(Holder.of(one), admitted.says or {}, says, wanted, here.elsewhere(one))
        standing = await here.attaching.ask(entrant)
    except DomainError:
        here.leave(one)
        raise
    one.info = says
    here.authenticated(one, admitted.caller)
    if not feed.order.is_known or len(feed.members) == 1:
        feed.place(*standing.position)  # otherwise frames before that may still be under way to the others
    recovered = wanted is not None and standing.missing is not None
    one.answer(_success(one, admitted, standing.position, recovered=recovered), message.correlation_id)
    if wanted is not None:
        for frame in _catching_up(one, standing):
            one.answer(frame)
    one.release(*standing.position)


def renew(one: Connection, admitted: Admission, message: Message) -> None:
    """Go on with a new token: no presence frames, no replay (DEV-23)."""
    one.authenticate(admitted.caller)
    one.answer(_success(one, admitted, (one.epoch, one.seq)), message.correlation_id)


async def leave(one: Connection, here: Reception, event: Any) -> None:
    """Take no part any more, give the lease back or to its grace, and say how it ended; `event` ended the socket."""
    here.leave(one)
    code = one.close_code or event.get("code", 1006)
    about = {**_about(one), "close_code": code}
    log.info("ws.closed", **about)
    if one.channel is None:
        return
    broadcast.to_admin(frames.admin_update("connection_closed", "A connection has closed.", about))
    reason = _reason(one, event)
    if one.info and reason is not None:
        await cross(presence.leave, Holder.of(one), reason, since=one.info["connected_at"])
        if reason == presence.LOST:
            here.look_after_grace(one)


def _catching_up(one: Connection, standing: Standing) -> list[Frame]:
    """What a client that holds an older state is missing (DEV-47)."""
    if standing.missing is not None:
        return standing.missing
    return [frames.snapshot_response(standing.snapshot, session_id=one.session_id, reason="resume")]


def _success(one: Connection, admitted: Admission, position: Position, *, recovered: bool = False) -> Frame:
    limits = {"max_message_bytes": settings.WS_MAX_SIZE, "rate_per_s": settings.WS_RATE_PER_S}
    limits["burst"] = settings.WS_BURST
    return frames.auth_success(
        session_id=one.session_id or None,
        user_id=one.user_id,
        device_id=one.device_id or None,
        connection_id=one.connection_id,
        expires_at=one.expires_at,
        position=position,
        recovered=recovered,
        limits=limits,
        is_admin=admitted.is_admin,
    )


def _reason(one: Connection, event: Any) -> str | None:
    """What DEVICE_LEFT will say; None if the lease is another's already."""
    if one.close_code:
        return _REASONS.get(one.close_code, presence.LOST)
    # The server class hands on the reason a client's close frame gave, and none for a connection that broke.
    is_farewell = "reason" in event and event.get("code") in _FAREWELLS
    return presence.CLOSED if is_farewell else presence.LOST


def _about(one: Connection) -> dict[str, Any]:
    return {
        "connection_id": one.connection_id,
        "session_id": one.session_id or None,
        "user_id": one.user_id or None,
        "device_id": one.device_id or None,
    }
