"""What every HTTP endpoint shares: the caller, the body, and the order of checks (CON-6)."""

from collections.abc import Mapping
from typing import Any, cast

from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.views import APIView

from sessions_app import ids
from sessions_app.access import limits, tallies
from sessions_app.access.auth import Caller
from sessions_app.errors import BodyTooLarge, FieldInvalid, MalformedJson, MethodNotAllowed, SessionIdInvalid
from sessions_app.http import bodies
from sessions_app.http.bodies import WireSerializer
from sessions_app.kinds import FieldError, FieldErrors, Invalid, UnsupportedMedia
from sessions_app.state.state_errors import TooDeep

MAX_BODY_BYTES = 65_536  # SES-1, POD-2; endpoints that read more say so


class Endpoint(APIView):
    """Base of every view: `caller`, `body(Serializer)`, and the checks in the order of CON-6."""

    http_method_names = ["get", "post", "patch", "delete", "head"]  # OPTIONS belongs to CORS
    max_body_bytes = MAX_BODY_BYTES
    rate: limits.Rate | None = None
    too_deep: type[Invalid] = MalformedJson

    @property
    def caller(self) -> Caller:
        """Who is asking."""
        return cast(Caller, self.request.user)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """401, 429, 413, 415, then the ids in the path."""
        self.format_kwarg = None
        _name_route(request)
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        self.perform_authentication(request)
        if self.rate is not None:
            limits.hold(request, tallies.use_or_ask(self.rate, self.caller))
        self._check_body(request)
        _check_path_ids(kwargs)

    def body(self, shape: type[WireSerializer]) -> dict[str, Any]:
        """The validated members of the body. Raises FieldErrors, MalformedJson, UnsupportedMedia."""
        return bodies.checked(shape, self.members)

    @property
    def members(self) -> dict[str, Any]:
        """The members of the body as they came. Raises MalformedJson, UnsupportedMedia, or what `too_deep` names."""
        try:
            return cast("dict[str, Any]", self.request.data)
        except UnsupportedMediaType as error:
            raise UnsupportedMedia from error
        except TooDeep as error:
            raise self.too_deep from error

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add what the limit says, on a refusal too."""
        for name, value in getattr(request, "rate_headers", {}).items():
            response[name] = value
        return super().finalize_response(request, response, *args, **kwargs)

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """The problem document, with Allow."""
        raise MethodNotAllowed(allow=", ".join(self.allowed_methods))

    def _check_body(self, request: Request) -> None:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdigit() and int(length) > self.max_body_bytes:
            raise BodyTooLarge(f"At most {self.max_body_bytes} bytes are read.")
        if len(request.body) > self.max_body_bytes:
            raise BodyTooLarge(f"At most {self.max_body_bytes} bytes are read.")
        if request.META.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
            raise UnsupportedMedia


def _name_route(request: Any) -> None:
    """Let the log line of this request name the pattern instead of the path, which holds ids (OPS-52)."""
    scope, match = getattr(request, "scope", None), request.resolver_match
    if scope is not None and match is not None:
        scope["route"] = f"/{match.route}"


def _check_path_ids(kwargs: Mapping[str, Any]) -> None:
    """Ids in the path are held to their form before any query is built (SES-5)."""
    if "session_id" in kwargs and not ids.is_session_id(kwargs["session_id"]):
        raise SessionIdInvalid
    for name in ("device_id", "user_id"):
        if name in kwargs and not ids.is_actor_id(kwargs[name]):
            raise FieldErrors([FieldError(name, FieldInvalid.code, "has the wrong form")])
