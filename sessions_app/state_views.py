"""HTTP doors to the state of a session (STA-20 to STA-56), as Django serves and documents them."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from sessions_app import answers, committer, history, jsonwire, limits, snapshots, state_requests
from sessions_app.errors import TooDeep
from sessions_app.negotiation import lower_headers
from sessions_app.operations import Operation
from sessions_app.rest import Endpoint
from sessions_app.state_requests import Call

MAX_BODY_BYTES = 2_097_152  # STA-18


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
        return HttpResponse(body, headers={"Cache-Control": answers.CACHING}, content_type="application/json")

    def written(self, operation: Operation) -> HttpResponse:
        """The answer to a write, once it is committed."""
        outcome = committer.commit(operation)
        answer = answers.of(outcome)
        headers = answers.headers(answer, replayed=outcome.answer is not None)
        return HttpResponse(answer.body, status=answer.status, headers=headers, content_type="application/json")


class SaveSnapshot(StateEndpoint):
    """`POST /session/snapshot`"""

    def post(self, request: Request) -> HttpResponse:
        """201 with the first version of a state, else 200 with the new one."""
        return self.written(state_requests.save_snapshot(self.call))


class UpdateState(StateEndpoint):
    """`POST /session/incremental`"""

    def post(self, request: Request) -> HttpResponse:
        """200 with the new version and what was applied."""
        return self.written(state_requests.update_state(self.call))


class ResolveConflict(StateEndpoint):
    """`POST /session/conflict/resolve`"""

    def post(self, request: Request) -> HttpResponse:
        """200 with the state after resolution and how it came about."""
        return self.written(state_requests.resolve_conflict(self.call))


class StateOfSession(StateEndpoint):
    """`/session/{id}`"""

    def get(self, request: Request, session: str) -> HttpResponse:
        """200 with the current state or, with `?version`, an earlier one; 304 for an ETag the client holds."""
        version = state_requests.asked_version(request.query_params)
        snapshot = snapshots.current(state_requests.session_id(session), by=self.caller)
        if version is not None:
            snapshot = history.snapshot_at(snapshot, version)
        answer = answers.to_reader(snapshot, state_requests.held_tags(self.call))
        return HttpResponse(
            answer.body, status=answer.status, headers=answers.headers(answer), content_type="application/json"
        )

    def patch(self, request: Request, session: str) -> HttpResponse:
        """200 with the new version and what was applied."""
        return self.written(state_requests.patch_state(self.call, session))


class StateVersions(StateEndpoint):
    """`GET /session/{id}/versions`"""

    def get(self, request: Request, session: str) -> HttpResponse:
        """200 with a page of the operation log, newest first."""
        limit, before = state_requests.asked_page(request.query_params)
        current = snapshots.current(state_requests.session_id(session), by=self.caller)
        return self.shown(answers.page_members(current, history.page(current, limit=limit, before=before)))


class StateDifference(StateEndpoint):
    """`GET /session/{id}/diff`"""

    def get(self, request: Request, session: str) -> HttpResponse:
        """200 with what leads from one version to another."""
        start, end = state_requests.asked_difference(request.query_params)
        current = snapshots.current(state_requests.session_id(session), by=self.caller)
        between = (start, current.version if end is None else end)
        return self.shown(answers.difference_members(current, between, history.difference(current, *between)))
