"""How DRF reads credentials and bodies and writes answers: strictly, and always JSON (CON-5, OPS-57)."""

from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from rest_framework import negotiation, parsers, renderers
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.request import Request

from sessions_app import jsonwire
from sessions_app.access import auth
from sessions_app.access.auth import Caller
from sessions_app.errors import CsrfFailed, MalformedJson


class BearerOrKey(BaseAuthentication):
    """DRF's view of `auth.authenticate`."""

    def authenticate(self, request: Request) -> tuple[Caller, None]:
        """The caller, as request.user. Raises Unauthenticated."""
        return auth.authenticate(lower_headers(request)), None

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return "Bearer"


class OptionalBearerOrKey(BearerOrKey):
    """For endpoints that need no credential: one that is present is verified all the same (OPS-17)."""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:  # type: ignore[override]
        """The caller, or nobody."""
        headers = lower_headers(request)
        if "authorization" in headers or "x-api-key" in headers:
            return auth.authenticate(headers), None
        return None


class StaffOrBearer(BearerOrKey):
    """A token as everywhere, or the session cookie of an active staff user, who counts as admin (OPS-33)."""

    def authenticate(self, request: Request) -> tuple[Caller, None]:
        """The caller. Raises Unauthenticated; CsrfFailed for a cookie without its token on an unsafe method."""
        headers, user = lower_headers(request), getattr(request._request, "user", None)
        if "authorization" in headers or "x-api-key" in headers or not (user and user.is_active and user.is_staff):
            caller = auth.authenticate(headers)
            return (replace(caller, roles=caller.roles | {"admin"}) if caller.is_anonymous else caller), None
        check = CSRFCheck(lambda _: HttpResponse())
        check.process_request(request._request)
        if check.process_view(request._request, lambda _: HttpResponse(), (), {}):
            raise CsrfFailed
        return Caller(user_id=user.get_username(), roles=frozenset({"admin"})), None


class StrictJsonParser(parsers.BaseParser):
    """One JSON object in UTF-8, without duplicate names."""

    media_type = "application/json"
    unstorable = False  # whether a member may hold what nothing can keep, to be refused by name

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        """The object. Raises MalformedJson."""
        value = jsonwire.loads(stream.read(), unstorable=self.unstorable)
        if not isinstance(value, dict):
            raise MalformedJson("The body is not a JSON object.")
        return value


class JsonRenderer(renderers.BaseRenderer):
    """Compact JSON, members in the order the view gives them."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        """The bytes of the answer; none for an empty one."""
        return b"" if data is None else jsonwire.dumps(data)


class AlwaysJson(negotiation.BaseContentNegotiation):
    """JSON whatever Accept says (OPS-57); the parser by the body's media type."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """The first parser of the body's media type, if any."""
        offered = (request.content_type or "").split(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == offered), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        """The only renderer there is."""
        return renderers[0], renderers[0].media_type


def lower_headers(request: Any) -> dict[str, str]:
    """The request's headers under lower-case names."""
    return {name.lower(): value for name, value in request.headers.items()}
