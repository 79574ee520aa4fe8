"""The one taxonomy of domain errors (CON-4): kinds carry the HTTP status, leaves only a kind and a stable code.

    DomainError
    ├── Invalid 400 ── FieldErrors
    ├── Unauthenticated 401
    ├── Forbidden 403
    ├── NotFound 404
    ├── MethodNotAllowed 405
    ├── Conflict 409
    ├── Gone 410
    ├── PreconditionFailed 412
    ├── TooLarge 413
    ├── UnsupportedMedia 415
    ├── RateLimited 429
    ├── Defect 500
    ├── UpstreamFailed 502
    ├── Unavailable 503
    └── UpstreamTimeout 504

A leaf's docstring is its meaning and `remedy` what its reader can do; together they are the problem catalogue.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class DomainError(Exception):
    """Something the caller is told about in the problem format."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    code: ClassVar[str] = ""
    remedy: ClassVar[str] = ""
    retry_after_s: ClassVar[int | None] = None

    def __init__(self, detail: str = "", **members: Any) -> None:
        """`detail` is for people; `members` become members of the problem document, `retry_after` a header too."""
        super().__init__(detail or (self.__doc__ or "").strip().splitlines()[0])
        self.detail: str = str(self.args[0])
        self.members = members

    @property
    def retry_after(self) -> int | None:
        """Whole seconds to wait before trying again, or None."""
        value: int | None = self.members.get("retry_after", self.retry_after_s)
        return value


class Invalid(DomainError):
    status, title = 400, "Bad request"


class Unauthenticated(DomainError):
    """The credential is missing, malformed, expired or revoked."""

    status, title, code = 401, "Unauthenticated", "UNAUTHENTICATED"
    remedy = "Send a valid access token or API key."


class Forbidden(DomainError):
    status, title = 403, "Forbidden"


class NotFound(DomainError):
    status, title = 404, "Not found"


class Conflict(DomainError):
    status, title = 409, "Conflict"


class Gone(DomainError):
    status, title = 410, "Gone"


class PreconditionFailed(DomainError):
    """The state is not the one the request was made for."""

    status, title, code = 412, "Precondition failed", "PRECONDITION_FAILED"
    remedy = "Read the current state, then repeat the request with its ETag."


class TooLarge(DomainError):
    status, title = 413, "Too large"


class UnsupportedMedia(DomainError):
    """The body has a media type or encoding this endpoint does not read."""

    status, title, code = 415, "Unsupported media type", "UNSUPPORTED_MEDIA_TYPE"
    remedy = "Send the media type the endpoint documents, without Content-Encoding."


class RateLimited(DomainError):
    """Too many requests in the current window."""

    status, title, code = 429, "Too many requests", "RATE_LIMITED"
    remedy = "Wait for the seconds in Retry-After."


class UpstreamFailed(DomainError):
    status, title = 502, "Bad gateway"


class Unavailable(DomainError):
    status, title = 503, "Service unavailable"
    retry_after_s = 5


class UpstreamTimeout(DomainError):
    status, title = 504, "Gateway timeout"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One refused member: dotted path, stable code, sentence."""

    field: str
    code: str
    detail: str


class FieldErrors(Invalid):
    """One or more members of the body are refused; the first entry's code is the problem's (CON-5)."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        first = errors[0]
        super().__init__(f"{first.field}: {first.detail}")
        self.errors = list(errors)
        self.code = first.code  # type: ignore[misc]  # the one error whose code is decided per case

    def __iter__(self) -> Iterator[FieldError]:
        return iter(self.errors)
