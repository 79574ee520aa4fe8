"""The JSON objects of the pod endpoints and frames (POD section 2), members in the contract's order."""

import json
from collections.abc import Sequence
from typing import Any

import orjson
from django.conf import settings

from routing.models import ChatMessage, Pod, PodTransition
from routing.pod.drivers import Observed
from routing.pod.pod_states import State
from sessions_app import clock, jsonwire

Shape = dict[str, Any]


def created(pod: Pod) -> Shape:
    """What create answers, now and when it is repeated: the pod as it was made (POD-10)."""
    at = clock.stamp(pod.created_at)
    return {
        "uuid": pod.session_id,
        "user_id": pod.session.user_id,
        "status": State.CREATED.value,
        "created_at": at,
        "last_activity": at,
        "expires_at": clock.stamp(pod.created_at + (pod.expires_at - pod.last_activity_at)),
    }


def processed(session_id: str, message: ChatMessage) -> Shape:
    """A chat that was answered (POD-16)."""
    return {
        "uuid": session_id,
        "status": "processed",
        "message_id": str(message.message_id),
        "seq": message.seq,
        "pod_response": _verbatim(message.response),
    }


def told(session_id: str, message: ChatMessage) -> str:
    """What who waits for a message is told of its outcome: the answer as `processed` has it, else nothing."""
    if message.status != ChatMessage.Status.ANSWERED:
        return ""
    return f"{message.message_id} {jsonwire.dumps(processed(session_id, message)).decode()}"


def read_told(message: ChatMessage, told: str) -> orjson.Fragment | None:
    """The answer to this very message, if that is what was told."""
    message_id, _, answer = told.partition(" ")
    return orjson.Fragment(answer) if message_id == str(message.message_id) else None


def queued(session_id: str, message: ChatMessage, *, position: int) -> Shape:
    """A chat that waits (POD-17); the text is constant."""
    return {
        "uuid": session_id,
        "status": "queued",
        "message": "Pod is waking up, message queued",
        "message_id": str(message.message_id),
        "seq": message.seq,
        "position": position,
    }


def message(one: ChatMessage) -> Shape:
    """A message as the poll and the frames show it (POD-21)."""
    error = {"code": one.error_code, "detail": one.error_detail, "pod_status": one.pod_status}
    return {
        "message_id": str(one.message_id),
        "seq": one.seq,
        "cursor": one.cursor,
        "status": one.status,
        "message": one.text,
        "pod_response": _verbatim(one.response),
        "error": error if one.error_code else None,
        "attempts": one.attempts,
        "created_at": clock.stamp(one.created_at),
        "settled_at": clock.stamp(one.settled_at) if one.settled_at else None,
        "performer_id": one.performer_id,
    }


def framed(session_id: str, one: ChatMessage) -> Shape:
    """`data` of a chat_message frame: plain values, since a frame may leave in another encoding (POD-23)."""
    response = json.loads(one.response) if one.response is not None else None
    return {"uuid": session_id, **message(one), "pod_response": response}


def listed(pod: Pod) -> Shape:
    """One line of the list of sessions (POD-30)."""
    return {
        "uuid": pod.session_id,
        "user_id": pod.session.user_id,
        "status": pod.state,
        "created_at": clock.stamp(pod.created_at),
        "last_activity": clock.stamp(pod.last_activity_at),
    }


def status(pod: Pod, observed: Observed, counts: dict[str, int], transitions: Sequence[PodTransition]) -> Shape:
    """Everything a client may know of its pod (POD-24)."""
    about = {name: value for name, value in listed(pod).items() if name != "uuid"}
    return {
        "uuid": pod.session_id,
        "status": pod.state,
        "session": about,
        "replicas": observed.replicas,
        **counts,
        "driver": settings.POD_DRIVER,
        "desired": pod.desired,
        "observed": {"replicas": observed.replicas, "ready": observed.ready, "error": observed.error},
        "reason": pod.reason,
        "since": clock.stamp(pod.since),
        "expires_at": clock.stamp(pod.expires_at),
        "timestamp": clock.stamp(clock.now()),
        "transitions": [transition(one) for one in transitions],
    }


def transition(one: PodTransition) -> Shape:
    """One change of state (POD-25)."""
    return {"from": one.from_state, "to": one.to_state, "reason": one.reason, "at": clock.stamp(one.at)}


def _verbatim(response: str | None) -> orjson.Fragment | None:
    """The pod's own JSON, unchanged (POD-46)."""
    return None if response is None else orjson.Fragment(response)
