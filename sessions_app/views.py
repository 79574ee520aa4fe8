"""HTTP doors to the boundaries and the log of a session (SES-9, SES-15, SES-22, SES-48)."""

from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app import clock, eventlog, recorder, sessions
from sessions_app.access import limits
from sessions_app.errors import ForbiddenPayload
from sessions_app.http.openapi import contract
from sessions_app.http.rest import Endpoint
from sessions_app.serializers import AppendEventIn, EndSessionIn, StartSessionIn, ValidateSessionIn

# Members that are checked and then play no part: the server names the record, the source and the time itself.
_ONLY_CHECKED = ("schema_version", "record_id", "source", "end_time")


class BoundaryEndpoint(Endpoint):
    """The three endpoints of the session manager share one limit."""

    rate = limits.Rate("session_manager", "SESSION_RATE")


class StartSession(BoundaryEndpoint):
    """`POST /session_manager/sessions.start`"""

    @contract(body=StartSessionIn, answers={200: "The recorded session.start event."})
    def post(self, request: Request) -> Response:
        """200 with the recorded event."""
        members = self.body(StartSessionIn)
        details = {name: value for name, value in members.items() if name not in _ONLY_CHECKED}
        return Response(sessions.start(by=self.caller, **details))


class EndSession(BoundaryEndpoint):
    """`POST /session_manager/sessions.end`"""

    @contract(body=EndSessionIn, answers={200: "The recorded session.end event."})
    def post(self, request: Request) -> Response:
        """200 with the recorded event."""
        members = self.body(EndSessionIn)
        return Response(
            sessions.end(
                members["session_id"],
                user_id=members["user_id"],
                performer_id=members["performer_id"],
                by=self.caller,
            )
        )


class ValidateSession(BoundaryEndpoint):
    """`POST /session_manager/sessions.validate`"""

    @contract(body=ValidateSessionIn, answers={200: "`active`, `closed` or `invalid`."})
    def post(self, request: Request) -> Response:
        """200 with the one word the caller may know."""
        members = self.body(ValidateSessionIn)
        return Response(
            {"status": sessions.validate(members["session_id"], user_id=members["user_id"], by=self.caller)}
        )


class AppendEvent(BoundaryEndpoint):
    """`POST /schema-recorder/append`"""

    max_body_bytes = eventlog.MAX_LINE_BYTES
    too_deep = ForbiddenPayload

    @contract(body=AppendEventIn, answers={201: "The line is on disk."})
    def post(self, request: Request) -> Response:
        """201 once the line is on disk."""
        members = self.body(AppendEventIn)
        event = {**self.members, "timestamp": clock.stamp(members["timestamp"])}
        recorded = recorder.append(event, by=self.caller)
        return Response({"record_id": recorded.event["record_id"], "recorded_at": recorded.recorded_at}, status=201)
