"""The one door to fan-out: what is told to sockets and to other processes, always after the commit (CON-16).

Callable from any thread, inside a transaction or outside; a failure is logged and never fails what was committed.

    to_session(session_id, frame)         every connection of the session, in every process (DEV-43)
    versions_committed(outcomes)          the same, for versions of states that have been committed already
    to_user, to_all, to_admin             every connection of a user; all but admins; admins only (DEV-71, DEV-73)
    session_started, session_ended        the boundaries of a session (DEV-26, DEV-72)
    notify_session(session_id, notice)    the processes that serve the session, not its clients
    revoked(found)                        tokens that are dead before their time (OPS-22, DEV-25)

Code that lives on the event loop of a web process can hear what befalls a session:

    unsubscribe = broadcast.listen(session_id, callback)

`callback(notice)` runs on the loop and must not block; notice is a protocol.Notice(kind, data), for instance
kind "session_ended" with data {"session_id", "end_reason"}. Call unsubscribe() once, on the loop, to stop.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from django.db import transaction

from sessions_app import faults, redisdoor
from sessions_app.access import revocations
from sessions_app.access.revocations import Revoked
from sessions_app.errors import RedisUnavailable
from sessions_app.fanout import frames, hub
from sessions_app.fanout.feeds import Listener
from sessions_app.fanout.hub import Hub, Item
from sessions_app.models import Session
from sessions_app.protocol import Frame, Notice

if TYPE_CHECKING:
    from sessions_app.state.operations import Outcome

SESSION_ENDED = "session_ended"
REVOKED = "revoked"
COUNT_WITHIN_S = 1.0

log = structlog.get_logger(__name__)
_here: Hub | None = None


def start() -> Hub:
    """The hub of the running loop, made on first use."""
    global _here
    if _here is None or _here.loop is not asyncio.get_running_loop():
        _here = Hub()
        _here.noticed.append(_heed)
        _here.start()
    return _here


async def stop() -> None:
    """Take this process out of the fan-out."""
    global _here
    if _here is not None:
        leaving, _here = _here, None
        await leaving.stop()


def listen(session_id: str, listener: Listener) -> Callable[[], None]:
    """Call `listener` with each notice about the session, until the returned function is called."""
    return start().listen(session_id, listener)


def to_session(session_id: str, frame: Frame) -> None:
    """Send `frame` to every connection of the session."""
    _after_commit(hub.session(session_id), frame)


def to_user(user_id: str, frame: Frame) -> None:
    """Send `frame` to every connection of the user, in whichever session."""
    _after_commit(hub.user(user_id), frame)


def to_all(frame: Frame) -> None:
    """Send `frame` to every connection that is not on the admin channel."""
    _after_commit(hub.ALL, frame)


def to_admin(frame: Frame) -> None:
    """Send `frame` to the admin channel."""
    _after_commit(hub.ADMIN, frame)


def versions_committed(outcomes: "Sequence[Outcome]") -> None:
    """Send committed versions to their sessions' connections (DEV-43); call it once the transaction has committed.

    Each is an Outcome with a version; the connection that its operation names as origin gets its copy as the ack.
    """
    faults.reach("state.before_tell")
    _tell([_of_version(outcome) for outcome in outcomes])


def session_started(session: Session) -> None:
    """Tell the admin channel."""
    to_admin(frames.admin_update("session_started", "A session has started.", _about(session)))


def session_ended(session: Session) -> None:
    """Tell the session's connections, which close (DEV-26), its listeners (SES-21), and the admin channel."""
    for item in _farewell(session):
        _after_commit(hub.session(session.session_id), item)
    to_admin(frames.admin_update(SESSION_ENDED, "A session has ended.", _about(session)))


def session_has_ended(session: Session) -> None:
    """Tell those in this process alone: what was told at the end did not reach it."""
    for item in _farewell(session):
        start().deliver(hub.session(session.session_id), item)


def revoked(found: Sequence[Revoked]) -> None:
    """Let every process know which tokens are dead: requests with them are refused, their sockets close (DEV-25)."""
    transaction.on_commit(partial(revocations.note, found), robust=True)
    _after_commit(hub.PROCESSES, Notice(REVOKED, {"revoked": [asdict(one) for one in found]}))


def announce(audience: str, frame: Frame) -> int:
    """Send `frame` to an audience now; how many connections it reached. Raises RedisUnavailable."""
    answers = f"{hub.COUNTED}{secrets.token_hex(8)}"
    body = hub.encode(audience, frame, sender=answers)
    processes, reached = redisdoor.publish(hub.channel(audience), body), 0
    for _ in range(processes):
        answer = redisdoor.call("blpop", [answers], timeout=COUNT_WITHIN_S)
        if answer is None:
            break  # a process that has just died
        reached += int(answer[1])
    redisdoor.call("delete", answers)
    return reached


def notify_session(session_id: str, notice: Notice) -> None:
    """Tell the processes that have connections or listeners of the session; clients do not see it."""
    _after_commit(hub.session(session_id), notice)


def _heed(notice: Notice) -> None:
    """Take what another process revoked into this one's memory, before its sockets are looked through."""
    if notice.kind == REVOKED:
        revocations.note(Revoked(**one) for one in notice.data["revoked"])


def _farewell(session: Session) -> tuple[Frame, Notice]:
    about = {**_about(session), "end_reason": session.end_reason}
    return frames.broadcast(SESSION_ENDED, "The session has ended.", about), Notice(SESSION_ENDED, about)


def _about(session: Session) -> dict[str, Any]:
    return {"session_id": session.session_id, "user_id": session.user_id, "device_id": session.device_id}


def _after_commit(audience: str, item: Item) -> None:
    # On the loop there is no transaction, and merely to ask for the connection would make one for each task.
    if asyncio._get_running_loop() is None and transaction.get_connection().in_atomic_block:
        transaction.on_commit(partial(_tell, [(audience, item)]), robust=True)
    else:
        _tell([(audience, item)])


def _of_version(outcome: "Outcome") -> tuple[str, Frame]:
    assert outcome.version is not None
    frame = frames.of_version(outcome.version, outcome.snapshot, origin=outcome.operation.origin)
    return hub.session(outcome.version.session_id), frame


def _tell(items: Sequence[tuple[str, Item]]) -> None:
    """Through this process's hub; where there is none, as in a command, straight to Redis."""
    here = _here
    if here is not None and not here.loop.is_closed():
        here.hand_over(items)
        return
    for audience, item in items:
        try:
            redisdoor.publish(hub.channel(audience), hub.encode(audience, item))
        except RedisUnavailable:
            log.warning("broadcast.not_published", audience=audience)
