"""HTTP doors to pods and chat (POD section 2)."""

from dataclasses import replace
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from routing import chat, pods
from routing.chat import Accepted
from routing.errors import ClusterUnavailable, PodBadAnswer, PodFailed, PodRejected
from routing.models import ChatMessage
from routing.pod import drivers, pod_endings, pod_serializers, pod_shapes
from routing.pod.pod_endpoint import PodEndpoint
from routing.pod.pod_serializers import ChatIn, CreateSessionIn
from sessions_app.access.limits import Rate
from sessions_app.errors import SessionNotFound
from sessions_app.http.openapi import contract

DELETE_WAIT_S = 25.0  # POD-28
DEATHS = {error.code: error for error in (PodRejected, PodBadAnswer, PodFailed)}
REPLAYED = {"Idempotent-Replayed": "true"}

_ID = "sess_0123456789abcdef"


class CreateSession(PodEndpoint):
    """`POST /session/create`"""

    limit = Rate("pod_create", "RATE_POD_CREATE")

    @contract(
        body=CreateSessionIn,
        answers={201: "The session has a pod, which sleeps."},
        example={"user_id": "user@example.com"},
    )
    def post(self, request: Request) -> Response:
        """201 with the new pod (POD-10)."""
        members, key = self.body(CreateSessionIn), self.idempotency_key()
        made = pods.create(user_id=members["user_id"], session_id=members.get("uuid"), by=self.caller, key=key)
        headers = {"Location": f"/session/{made.pod.session_id}/status", **(REPLAYED if made.replayed else {})}
        return Response(pod_shapes.created(made.pod), status=201, headers=headers)


class WakeSession(PodEndpoint):
    """`POST /session/{id}/wake`"""

    limit = Rate("pod_wake", "RATE_POD_WAKE")
    parser_classes = []

    @contract(answers={200: "The pod is wished awake."})
    def post(self, request: Request, session_id: str) -> Response:
        """200; `status` tells how far the wish is (POD-13)."""
        self.no_body()
        status = pods.wake(session_id, by=self.caller)
        return Response({"uuid": session_id, "action": "wake", "status": status, "message": "Pod is waking up"})


class SleepSession(PodEndpoint):
    """`POST /session/{id}/sleep`"""

    limit = Rate("pod_sleep", "RATE_POD_SLEEP")
    parser_classes = []

    @contract(answers={200: "The pod is wished asleep."})
    def post(self, request: Request, session_id: str) -> Response:
        """200; `state` is the true one (POD-14)."""
        self.no_body()
        state = pods.sleep(session_id, by=self.caller)
        said = {"action": "sleep", "status": "sleeping", "message": "Pod queued for sleep"}
        return Response({"uuid": session_id, **said, "state": state})


class ChatWithSession(PodEndpoint):
    """`POST /session/{id}/chat`"""

    limit = Rate("pod_chat", "RATE_POD_CHAT")

    @contract(
        body=ChatIn,
        answers={200: "The pod has answered.", 202: "The message is kept and will be delivered."},
        example={"message": "Hello, can you help me?"},
    )
    def post(self, request: Request, session_id: str) -> Response:
        """200, 202 or 502 (POD-16 to POD-19)."""
        text, key = self.body(ChatIn)["message"], self.idempotency_key()
        accepted = chat.accept(session_id, text=text, by=self.caller, key=key)
        now = _outcome(session_id, accepted)
        if not accepted.may_wait:
            return now

        def look(is_last: bool) -> Response | None:
            found = replace(accepted, message=chat.again(accepted.message))
            if is_last and not found.message.is_settled:
                chat.keep()
            return _outcome(session_id, found) if is_last or found.message.is_settled else None

        def hear(told: str) -> Response | None:
            answer = pod_shapes.read_told(accepted.message, told)
            return None if answer is None else Response(answer)

        return self.held(now, within_s=settings.CHAT_WAIT_S, look=look, hear=hear)


class SessionMessages(PodEndpoint):
    """`GET /session/{id}/messages`"""

    limit = Rate("pod_messages", "RATE_POD_READ")

    @contract(answers={200: "The messages that changed since `after`."})
    def get(self, request: Request, session_id: str) -> Response:
        """200; an empty answer is held for `wait` seconds (POD-21)."""
        asked = pod_serializers.messages_query(request.query_params)

        def look(is_last: bool) -> Response | None:
            pod = pods.live(session_id, by=self.caller)
            found, more = chat.after(pod, cursor=asked["after"], limit=asked["limit"])
            return _page(session_id, asked["after"], found, more) if found or is_last else None

        now = look(True)
        assert now is not None
        return self.held(now, within_s=asked["wait"], look=look) if not now.data["messages"] else now


class SessionStatus(PodEndpoint):
    """`GET /session/{id}/status`"""

    limit = Rate("pod_status", "RATE_POD_READ")

    @contract(answers={200: "The pod, wished and observed."})
    def get(self, request: Request, session_id: str) -> Response:
        """200 (POD-24, POD-25)."""
        pod = pods.live(session_id, by=self.caller)
        observed = drivers.current().observe(pod)
        return Response(pod_shapes.status(pod, observed, chat.counts(pod), pods.newest_transitions(pod)))


class DeleteSession(PodEndpoint):
    """`DELETE /session/{id}`"""

    limit = Rate("pod_delete", "RATE_POD_DELETE")
    parser_classes = []

    @contract(answers={200: "The session is closed and its pod is gone."})
    def delete(self, request: Request, session_id: str) -> Response:
        """200 once all is gone, waiting for a local process to end (POD-26 to POD-28)."""
        self.no_body()
        if pod_endings.end(session_id, by=self.caller):
            return _deleted(session_id)

        def look(is_last: bool) -> Response | None:
            if pod_endings.finish_end(session_id):
                return _deleted(session_id)
            if is_last:
                raise ClusterUnavailable("The pod has not stopped yet; it will be stopped.")
            return None

        return self.held(self.handle_exception(ClusterUnavailable()), within_s=DELETE_WAIT_S, look=look)


class ListSessions(PodEndpoint):
    """`GET /sessions`"""

    limit = Rate("pod_sessions", "RATE_POD_READ")

    @contract(answers={200: "The live sessions, newest first."})
    def get(self, request: Request) -> Response:
        """200 (POD-30)."""
        total, found = pods.listed(by=self.caller, **pod_serializers.sessions_query(request.query_params))
        return Response({"total": total, "sessions": [pod_shapes.listed(pod) for pod in found]})


def _outcome(session_id: str, accepted: Accepted) -> Response:
    """What the message's state is worth now. Raises PodRejected, PodBadAnswer, PodFailed, SessionNotFound."""
    message, headers = accepted.message, REPLAYED if accepted.replayed else None
    if message.status == ChatMessage.Status.ANSWERED:
        return Response(pod_shapes.processed(session_id, message), headers=headers)
    if message.status == ChatMessage.Status.DEAD:
        raise _death(message)
    shape = pod_shapes.queued(session_id, message, position=accepted.position)
    return Response(shape, status=202, headers=headers)


def _death(message: ChatMessage) -> Exception:
    error = DEATHS.get(message.error_code or "")
    if error is None:
        return SessionNotFound()  # it died with its session
    status = {} if message.pod_status is None else {"pod_status": message.pod_status}
    return error(message.error_detail or "", message_id=str(message.message_id), **status)


def _page(session_id: str, after: int, found: list[ChatMessage], more: bool) -> Response:
    shape: dict[str, Any] = {"uuid": session_id, "next": found[-1].cursor if found else after, "more": more}
    return Response({**shape, "messages": [pod_shapes.message(message) for message in found]})


def _deleted(session_id: str) -> Response:
    return Response({"uuid": session_id, "status": "terminated", "message": "Session and all resources deleted"})
