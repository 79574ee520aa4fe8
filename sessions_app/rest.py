"""What every HTTP endpoint shares: credentials, strict JSON, the order of checks (CON-4 to CON-6), problem documents."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from rest_framework import negotiation, parsers, renderers, serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import MethodNotAllowed as DrfMethodNotAllowed
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.views import APIView

from sessions_app import auth, ids, jsonwire, limits
from sessions_app.auth import Caller
from sessions_app.errors import (
    BodyTooLarge,
    FieldError,
    FieldErrors,
    FieldInvalid,
    FieldMissing,
    FieldUnknown,
    MalformedJson,
    MethodNotAllowed,
    SessionIdInvalid,
    UnsupportedMedia,
)
from sessions_app.fields import Forbidden

MAX_BODY_BYTES = 65_536  # SES-1, POD-2; endpoints that read more say so


class BearerOrKey(BaseAuthentication):
    """DRF's view of `auth.authenticate`."""

    def authenticate(self, request: Request) -> tuple[Caller, None]:
        """The caller, as request.user. Raises Unauthenticated."""
        return auth.authenticate(lower_headers(request)), None

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return "Bearer"


class StrictJsonParser(parsers.BaseParser):
    """One JSON object in UTF-8, without duplicate names."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        """The object. Raises MalformedJson."""
        value = jsonwire.loads(stream.read())
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


class WireSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """The members of a body in the order of the contract's table; unknown ones are refused after them (CON-5).

    An optional member given as null counts as absent. `errors_in` turns DRF's errors into the contract's list.
    """

    def to_internal_value(self, data: Any) -> Any:
        """DRF's hook: null drops out first, except where presence alone is refused."""
        kept = {
            name: value
            for name, value in data.items()
            if value is not None or isinstance(self.fields.get(name), Forbidden)
        }
        return super().to_internal_value(kept)

    def errors_in(self, data: Mapping[str, Any]) -> list[FieldError]:
        """Every refused member of `data`, in order; reads the outcome of is_valid()."""
        found = list(_flat(self.errors, self.fields))
        unknown = [name for name in data if name not in self.fields]
        return found + [FieldError(name, FieldUnknown.code, "is not a member of this request") for name in unknown]


class Endpoint(APIView):
    """Base of every view: `caller`, `body(Serializer)`, and the checks in the order of CON-6."""

    max_body_bytes = MAX_BODY_BYTES
    rate: limits.Rate | None = None

    @property
    def caller(self) -> Caller:
        """Who is asking."""
        return cast(Caller, self.request.user)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """401, 429, 413, 415, then the ids in the path."""
        self.format_kwarg = None
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        self.perform_authentication(request)
        if self.rate is not None:
            limits.count(self.rate, request, self.caller)
        self._check_body(request)
        _check_path_ids(kwargs)

    def body(self, shape: type[WireSerializer]) -> dict[str, Any]:
        """The validated members of the body. Raises FieldErrors, MalformedJson, UnsupportedMedia."""
        try:
            data = self.request.data
        except UnsupportedMediaType as error:
            raise UnsupportedMedia from error
        return checked(shape, data)

    def http_method_not_allowed(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """The problem document, with Allow."""
        raise MethodNotAllowed(allow=", ".join(self.allowed_methods)) from DrfMethodNotAllowed(str(request.method))

    def _check_body(self, request: Request) -> None:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdigit() and int(length) > self.max_body_bytes:
            raise BodyTooLarge(f"At most {self.max_body_bytes} bytes are read.")
        if len(request.body) > self.max_body_bytes:
            raise BodyTooLarge(f"At most {self.max_body_bytes} bytes are read.")
        if request.META.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
            raise UnsupportedMedia


def checked(shape: type[WireSerializer], data: Mapping[str, Any]) -> dict[str, Any]:
    """The validated members of `data`. Raises FieldErrors."""
    serializer = shape(data=data)
    serializer.is_valid()
    if errors := serializer.errors_in(data):
        raise FieldErrors(errors)
    return dict(serializer.validated_data)


def lower_headers(request: Any) -> dict[str, str]:
    """The request's headers under lower-case names."""
    return {name.lower(): value for name, value in request.headers.items()}


def _check_path_ids(kwargs: Mapping[str, Any]) -> None:
    """Ids in the path are held to their form before any query is built (SES-5)."""
    if "session_id" in kwargs and not ids.is_session_id(kwargs["session_id"]):
        raise SessionIdInvalid
    for name in ("device_id", "user_id"):
        if name in kwargs and not ids.is_actor_id(kwargs[name]):
            raise FieldErrors([FieldError(name, FieldInvalid.code, "has the wrong form")])


def _flat(errors: Any, fields: Mapping[str, Any], path: str = "") -> Iterator[FieldError]:
    """DRF's nested errors as dotted paths, in the order in which the fields are declared."""
    for name in [*fields, *(name for name in errors if name not in fields)]:
        if name not in errors:
            continue
        field, found = fields.get(name), errors[name]
        if isinstance(found, Mapping):
            yield from _flat(found, getattr(field, "fields", {}), f"{path}{name}.")
        else:
            code = found[0].code
            if code in ("required", "null"):
                code = getattr(field, "missing_code", FieldMissing.code)
            yield FieldError(f"{path}{name}", code if code.isupper() else FieldInvalid.code, str(found[0]))
