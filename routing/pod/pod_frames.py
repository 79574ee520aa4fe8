"""What waiters and sockets are told once something has happened to a pod or a message (POD-23); always after commit."""

import datetime as dt
from contextlib import suppress

import structlog

from routing import inbox
from routing.models import ChatMessage
from routing.pod import pod_shapes
from sessions_app import broadcast, clock
from sessions_app.errors import RedisUnavailable
from sessions_app.fanout import frames

log = structlog.get_logger(__name__)


def buried(session_id: str, message: ChatMessage) -> None:
    """Tell of a message that died with its session."""
    _tell_waiters(session_id)
    _tell_sockets(session_id, message)


def settled(session_id: str, message: ChatMessage) -> None:
    """Tell of a message that has its outcome, first of all who waits for it; it is in no list any more (POD-36)."""
    try:
        inbox.settled(session_id, str(message.pk), pod_shapes.told(session_id, message))
    except RedisUnavailable:
        log.warning("chat.not_told", session_id=session_id)
    _tell_sockets(session_id, message)


def moved(session_id: str, source: str, target: str, reason: str, at: dt.datetime) -> None:
    """Tell of a change of the pod's state."""
    _tell_waiters(session_id)
    data = {"uuid": session_id, "from": source, "to": target, "reason": reason, "at": clock.stamp(at)}
    broadcast.to_session(session_id, frames.broadcast("pod_state", "", data))


def _tell_waiters(session_id: str) -> None:
    try:
        inbox.tell(session_id)
    except RedisUnavailable:
        log.warning("chat.not_told", session_id=session_id)


def _tell_sockets(session_id: str, message: ChatMessage) -> None:
    with suppress(ValueError, TypeError):  # a pod may say what no frame can carry: the poll has it
        broadcast.to_session(session_id, frames.broadcast("chat_message", "", pod_shapes.framed(session_id, message)))
