"""What all pod endpoints share: the order of checks of POD-5, limits by address, answers that may wait."""

from collections.abc import Callable
from functools import partial
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from routing import inbox
from routing.pod import pod_serializers
from sessions_app import jsonwire
from sessions_app.access import addresses, limits
from sessions_app.errors import FieldUnknown, MalformedJson, RedisUnavailable
from sessions_app.http.negotiation import StrictJsonParser
from sessions_app.http.rest import Endpoint
from sessions_app.kinds import FieldError, FieldErrors, UnsupportedMedia

Look = Callable[[bool], Response | None]
Hear = Callable[[str], Response | None]

_READS = ("GET", "HEAD")


class AnyValue(StrictJsonParser):
    """JSON in which a member may hold what nothing can keep: that member is what is wrong then."""

    unstorable = True


class Held(Response):
    """An answer that may get better within `within_s`: `again(is_last)` looks anew and is None while it has not.

    `hear(told)` is the better answer where news alone says it, and touches no database.
    Served by Django alone it is the answer of this moment; routing/pod/held.py waits, without a thread.
    """

    within_s = 0.0
    again: Callable[[bool], Response | None]
    hear: Callable[[str], Response | None]


class PodEndpoint(Endpoint):
    """Base of the pod endpoints; `limit` is counted by address, before anybody is authenticated (POD-7)."""

    limit: limits.Rate
    parser_classes = [AnyValue]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """429, 503 for Redis, 401, 413, 415, then the ids in the path (POD-5)."""
        request._request.get_host()  # refused unless ALLOWED_HOSTS has it, whoever serves the request
        self._count(request)
        super().initial(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """With the headers of the limit (OPS-48)."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        for name, value in getattr(request._request, "rate_headers", {}).items():
            answer[name] = value
        return answer

    def held(self, now: Response, *, within_s: float, look: Look, hear: Hear = lambda told: None) -> Held:
        """`now`, unless `look` finds something better in time; `look(True)` is the last one and must answer."""
        answer = Held(now.data, now.status_code, headers=dict(now.headers), content_type=now.content_type)
        answer.within_s, answer.again, answer.hear = within_s, partial(self._again, look), partial(self._heard, hear)
        return answer

    def idempotency_key(self) -> str | None:
        """The request's Idempotency-Key. Raises FieldErrors."""
        return pod_serializers.idempotency_key(self.request.headers.get("Idempotency-Key"))

    def no_body(self) -> None:
        """An empty body or `{}`, of any media type (POD-2). Raises MalformedJson, FieldErrors."""
        data = self.request.body.strip()
        members = jsonwire.loads(data) if data else {}
        if not isinstance(members, dict):
            raise MalformedJson
        if members:
            unknown = [FieldError(name, FieldUnknown.code, "is not a member of this request") for name in members]
            raise FieldErrors(unknown)

    def _count(self, request: Request) -> None:
        try:
            usage = limits.measure(self.limit, addresses.of_request(request))
            if usage is None and request.method not in _READS:
                inbox.ping()
        except RedisUnavailable:
            if request.method not in _READS:
                raise
            return  # what is only read is answered from PostgreSQL, unlimited (POD-9)
        if usage is not None:
            request._request.rate_headers = usage.headers  # type: ignore[attr-defined]
            usage.check()

    def _check_body(self, request: Request) -> None:
        super()._check_body(request)
        parsers = self.get_parsers() if request.method == "POST" else []
        if parsers and self.get_content_negotiator().select_parser(request, parsers) is None:
            raise UnsupportedMedia
        if parsers and not request.body:
            raise MalformedJson  # DRF would take nothing for an object without members

    def _again(self, look: Look, is_last: bool) -> Response | None:
        try:
            response = look(is_last)
        except Exception as error:  # rendered as the view renders what it raises
            response = self.handle_exception(error)
        return self._finished(response)

    def _heard(self, hear: Hear, told: str) -> Response | None:
        return self._finished(hear(told))

    def _finished(self, response: Response | None) -> Response | None:
        if response is None:
            return None
        self.headers = self.default_response_headers
        return self.finalize_response(self.request, response)  # type: ignore[no-any-return]
