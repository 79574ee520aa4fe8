"""HTTP doors to the state of a session (STA-20 to STA-56), as Django serves and documents them."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from sessions_app import jsonwire, snapshots
from sessions_app.access import limits
from sessions_app.http import problems
from sessions_app.http.negotiation import lower_headers
from sessions_app.http.openapi import contract
from sessions_app.http.rest import Endpoint
from sessions_app.state import answers, committer, history, state_requests
from sessions_app.state.operations import Operation
from sessions_app.state.state_errors import TooDeep
from sessions_app.state.state_requests import Call
from sessions_app.state.state_serializers import (
    AppliedOut,
    DifferenceOut,
    MergePatchIn,
    ResolveConflictIn,
    ResolvedOut,
    SaveSnapshotIn,
    SnapshotOut,
    UpdateStateIn,
    VersionsOut,
)

MAX_BODY_BYTES = 2_097_152  # STA-18

# Seed 002's own examples.
_SESSION, _USER = "550e8400-e29b-41d4-a716-446655440000", "user-123"
SEED_SNAPSHOT = {
    "session_id": _SESSION,
    "user_id": _USER,
    "state_data": {"meditation_progress": 75, "current_mood": "calm", "streak_days": 12},
    "device_id": "device-456",
    "app_version": "2.1.0",
    "version": 1,
}
SEED_UPDATE = {
    "session_id": _SESSION,
    "user_id": _USER,
    "device_id": "device-789",
    "base_version": 1,
    "changes": {"meditation_progress": 80},
    "deleted_keys": [],
}
SEED_RESOLVE = {
    "session_id": _SESSION,
    "client_version": 2,
    "client_state": {"meditation_progress": 85},
    "resolution_strategy": "server_wins",
}


class StateEndpoint(Endpoint):
    """What the endpoints of a state share."""

    max_body_bytes = MAX_BODY_BYTES
    rate = limits.Rate("state", "RATE_STATE")
    too_deep = TooDeep

    @property
    def call(self) -> Call:
        """The request as the state's own reader wants it."""
        request = self.request
        return Call(self.caller, str(request.method), request.path, lower_headers(request), request.body)

    def shown(self, members: dict[str, Any]) -> HttpResponse:
        """Members that are read, not written."""
        body = jsonwire.dumps(members)
        return HttpResponse(body, headers={"Cache-Control": problems.CACHING}, content_type="application/json")

    def written(self, operation: Operation) -> HttpResponse:
        """The answer to a write, once it is committed."""
        outcome = committer.commit(operation)
        answer = answers.of(outcome)
        headers = answers.headers(answer, replayed=outcome.answer is not None)
        return HttpResponse(answer.body, status=answer.status, headers=headers, content_type="application/json")


class SaveSnapshot(StateEndpoint):
    """`POST /session/snapshot`"""

    @contract(body=SaveSnapshotIn, answers={200: SnapshotOut, 201: SnapshotOut}, example=SEED_SNAPSHOT)
    def post(self, request: Request) -> HttpResponse:
        """201 with the first version of a state, else 200 with the new one."""
        return self.written(state_requests.save_snapshot(self.call))


class UpdateState(StateEndpoint):
    """`POST /session/incremental`"""

    @contract(body=UpdateStateIn, answers={200: AppliedOut}, example=SEED_UPDATE)
    def post(self, request: Request) -> HttpResponse:
        """200 with the new version and what was applied."""
        return self.written(state_requests.update_state(self.call))


class ResolveConflict(StateEndpoint):
    """`POST /session/conflict/resolve`"""

    @contract(body=ResolveConflictIn, answers={200: ResolvedOut}, example=SEED_RESOLVE)
    def post(self, request: Request) -> HttpResponse:
        """200 with the state after resolution and how it came about."""
        return self.written(state_requests.resolve_conflict(self.call))


class StateOfSession(StateEndpoint):
    """`/session/{id}`"""

    @extend_schema(parameters=[OpenApiParameter("version", int, description="An earlier version of this epoch.")])
    @contract(answers={200: SnapshotOut, 304: "The reader holds this version."})
    def get(self, request: Request, session_id: str) -> HttpResponse:
        """200 with the current state or, with `?version`, an earlier one; 304 for an ETag the client holds."""
        version = state_requests.asked_version(request.query_params)
        snapshot = snapshots.current(session_id, by=self.caller)
        if version is not None:
            snapshot = history.snapshot_at(snapshot, version)
        answer = answers.to_reader(snapshot, state_requests.held_tags(self.call))
        return HttpResponse(
            answer.body, status=answer.status, headers=answers.headers(answer), content_type="application/json"
        )

    @contract(body=MergePatchIn, media_types=tuple(state_requests.PATCHES), answers={200: AppliedOut})
    def patch(self, request: Request, session_id: str) -> HttpResponse:
        """200 with the new version and what was applied."""
        return self.written(state_requests.patch_state(self.call, session_id))


class StateVersions(StateEndpoint):
    """`GET /session/{id}/versions`"""

    @extend_schema(parameters=[OpenApiParameter("limit", int), OpenApiParameter("before", int)])
    @contract(answers={200: VersionsOut})
    def get(self, request: Request, session_id: str) -> HttpResponse:
        """200 with a page of the operation log, newest first."""
        limit, before = state_requests.asked_page(request.query_params)
        current = snapshots.current(session_id, by=self.caller)
        return self.shown(answers.page_members(current, history.page(current, limit=limit, before=before)))


class StateDifference(StateEndpoint):
    """`GET /session/{id}/diff`"""

    @extend_schema(parameters=[OpenApiParameter("from", int, required=True), OpenApiParameter("to", int)])
    @contract(answers={200: DifferenceOut})
    def get(self, request: Request, session_id: str) -> HttpResponse:
        """200 with what leads from one version to another."""
        start, end = state_requests.asked_difference(request.query_params)
        current = snapshots.current(session_id, by=self.caller)
        between = (start, current.version if end is None else end)
        return self.shown(answers.difference_members(current, between, history.difference(current, *between)))
