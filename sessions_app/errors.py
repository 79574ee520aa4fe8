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


class FieldMissing(Invalid):
    """A required member is absent, null or blank."""

    code, remedy = "FIELD_MISSING", "Send the member."


class FieldInvalid(Invalid):
    """A member has the wrong type or form."""

    code, remedy = "FIELD_INVALID", "Send the form the documentation shows."


class FieldUnknown(Invalid):
    """A member that this endpoint does not know."""

    code, remedy = "FIELD_UNKNOWN", "Leave the member out."


class FieldForbidden(Invalid):
    """A member that only the server may set."""

    code, remedy = "FIELD_FORBIDDEN", "Leave the member out."


class PerformerRequired(Invalid):
    """Nobody is named as the one who did this."""

    code, remedy = "PERFORMER_REQUIRED", "Name a person, or `system`, in performer_id."


class SourceInvalid(Invalid):
    """A boundary can only come from the session manager."""

    code, remedy = "SOURCE_INVALID", "Leave `source` out."


class SessionIdInvalid(Invalid):
    """A session id is `sess_` and 16 lower-case hex digits, or a canonical lower-case UUID."""

    code, remedy = "SESSION_ID_INVALID", "Send the id exactly as it was issued."


class SchemaVersionUnsupported(Invalid):
    """The schema_version has a major number other than 1."""

    code, remedy = "SCHEMA_VERSION_UNSUPPORTED", "Send `1.0.1`."


class MalformedJson(Invalid):
    """The body is not one strict JSON object in UTF-8."""

    code, remedy = "MALFORMED_JSON", "Send one JSON object without duplicate names, NaN or Infinity."


class BodyTooLarge(TooLarge):
    """The body is longer than this endpoint reads."""

    code, remedy = "BODY_TOO_LARGE", "Send less."


class MethodNotAllowed(DomainError):
    """The path exists, but not with this method."""

    status, title, code = 405, "Method not allowed", "METHOD_NOT_ALLOWED"
    remedy = "Use a method named in Allow."


class UnknownPath(NotFound):
    """Nothing is served at this path."""

    code, remedy = "NOT_FOUND", "Check the path; there is no trailing slash."


class InvalidCredentials(Unauthenticated):
    """The name or the password is wrong, or the account cannot sign in."""

    code, remedy = "INVALID_CREDENTIALS", "Check the name and the password."


class RefreshInvalid(Unauthenticated):
    """The refresh token is malformed, forged or revoked, or its account is inactive."""

    code, remedy = "REFRESH_INVALID", "Sign in again."


class RefreshExpired(Unauthenticated):
    """The refresh token has expired."""

    code, remedy = "REFRESH_EXPIRED", "Sign in again."


class RefreshReused(Unauthenticated):
    """The refresh token had been spent; everything that came of its sign-in is revoked."""

    code, remedy = "REFRESH_REUSED", "Sign in again, and refresh one at a time."


class RoleForbidden(Forbidden):
    """The caller's role may not do this."""

    code, remedy = "FORBIDDEN", "Use a credential with the role the endpoint asks for."


class UserNotAllowed(Forbidden):
    """The caller may not act for this user."""

    code, remedy = "USER_NOT_ALLOWED", "Name your own user_id."


class CsrfFailed(Forbidden):
    """A staff cookie came without its CSRF token."""

    code, remedy = "CSRF_FAILED", "Send the CSRF token in X-CSRFToken."


class SessionNotFound(NotFound):
    """There is no such session, or it is not yours."""

    code, remedy = "SESSION_NOT_FOUND", "Check the session id."


class SessionUserMismatch(Forbidden):
    """The session belongs to another user than the body names."""

    code, remedy = "SESSION_USER_MISMATCH", "Name the owner of the session."


class SessionAlreadyActive(Conflict):
    """The user already has an active exclusive session; `session_id` names it."""

    code, remedy = "SESSION_ALREADY_ACTIVE", "Use or end the session named in session_id."


class SessionAlreadyClosed(Conflict):
    """The session has ended."""

    code, remedy = "SESSION_ALREADY_CLOSED", "Start a new session."


class ForbiddenPayload(Invalid):
    """An event may not carry media or be nested deeper than 32 levels."""

    code, remedy = "FORBIDDEN_PAYLOAD", "Send a reference to the media instead."


class EventReserved(Invalid):
    """Only Baton itself writes events of this source or kind."""

    code, remedy = "EVENT_RESERVED", "Use a source and an event of your own."


class EventTooLarge(TooLarge):
    """The line would be longer than 524,288 bytes."""

    code, remedy = "EVENT_TOO_LARGE", "Send a shorter event."


class RecordIdUsed(Conflict):
    """This record_id is already in the log; `recorded_at` tells since when."""

    code, remedy = "RECORD_ID_USED", "A client that repeats itself may take this as done."


class SessionDirMissing(Conflict):
    """The directory of the session's log has vanished."""

    code, remedy = "SESSION_DIR_MISSING", "Tell the operator: LOG_ROOT lost a directory."


class RecorderUnavailable(Unavailable):
    """The session's log could not be written; nothing has changed."""

    code, remedy = "RECORDER_UNAVAILABLE", "Repeat the request later."


class DatabaseUnavailable(Unavailable):
    """PostgreSQL does not answer; nothing has changed."""

    code, remedy = "DATABASE_UNAVAILABLE", "Repeat the request later."


class Draining(Unavailable):
    """This process is about to stop."""

    code, remedy = "DRAINING", "Connect again: another process answers."


class RedisUnavailable(Unavailable):
    """Redis does not answer; nothing has changed."""

    code, remedy = "REDIS_UNAVAILABLE", "Repeat the request later."


class Internal(DomainError):
    """A defect of the server."""

    status, title, code = 500, "Internal error", "INTERNAL"
    remedy = "Report the request_id to the operator."


class TooDeep(Invalid):
    """Objects and arrays nest deeper than 32 levels."""

    code, remedy = "TOO_DEEP", "Flatten the state."


class InvalidValue(Invalid):
    """A value that the canonical form of RFC 8785 cannot carry."""

    code, remedy = "INVALID_VALUE", "Send integers up to 2^53 - 1, finite numbers and Unicode text without U+0000."


class InvalidUpdate(Invalid):
    """The update names no effect, or contradicts itself."""

    code, remedy = "INVALID_UPDATE", "Name each key once, in what is set or in what is deleted."


class InvalidPatch(Invalid):
    """The patch is not a well-formed document of its media type."""

    code, remedy = "INVALID_PATCH", "Send a patch as RFC 7396 or RFC 6902 define it."


class UnknownOperation(Invalid):
    """A state frame sets, deletes or merges; there is nothing else."""

    code, remedy = "UNKNOWN_OPERATION", "Send SET, DELETE or MERGE."


class PatchTestFailed(Conflict):
    """A `test` operation of the patch met another value; nothing was applied."""

    code, remedy = "PATCH_TEST_FAILED", "Read the current state and decide again."


class PatchNotApplicable(Conflict):
    """A pointer of the patch names nothing where it must name something; nothing was applied."""

    code, remedy = "PATCH_NOT_APPLICABLE", "Read the current state and decide again."


class StateTooLarge(TooLarge):
    """The resulting state would exceed 1,048,576 canonical bytes or 10,000 members."""

    code, remedy = "STATE_TOO_LARGE", "Keep less in the state."


class BadFrame(Invalid):
    """The frame is malformed: not one strict document with an integer type and an object as payload."""

    code, remedy = "BAD_FRAME", "Send the form the documentation shows."


class UnknownType(Invalid):
    """A frame type that does not exist, or that only the server sends."""

    code, remedy = "UNKNOWN_TYPE", "Send a type the documentation lists for clients."


class NotAuthenticated(Unauthenticated):
    """Before AUTH succeeds only AUTH and HEARTBEAT are handled."""

    code, remedy = "NOT_AUTHENTICATED", "Send AUTH first."


class IdentityMismatch(Forbidden):
    """The envelope names another session, user or device than the connection's."""

    code, remedy = "IDENTITY_MISMATCH", "Leave the ids out of the envelope, or send the connection's own."


class MessageTooLarge(TooLarge):
    """The message is longer than this frame may carry."""

    code, remedy = "MESSAGE_TOO_LARGE", "Send less."


class VersionConflict(Conflict):
    """The write was made for another version than the current one; `conflict` shows the difference."""

    code, remedy = "VERSION_CONFLICT", "Merge with conflict.server_state, or ask /session/conflict/resolve."


class SnapshotNotFound(NotFound):
    """The session has no state."""

    code, remedy = "SNAPSHOT_NOT_FOUND", "Write a first snapshot."


class VersionNotFound(NotFound):
    """The state has not reached this version."""

    code, remedy = "VERSION_NOT_FOUND", "Ask for a version up to the current one."


class SnapshotExpired(Gone):
    """The state has not been written for too long; a new snapshot starts anew."""

    code, remedy = "SNAPSHOT_EXPIRED", "Write a new snapshot."


class VersionExpired(Gone):
    """The version is older than the history that is kept."""

    code, remedy = "VERSION_EXPIRED", "Ask for a newer version."


class IdempotencyKeyReused(Conflict):
    """The Idempotency-Key stands for another request."""

    code, remedy = "IDEMPOTENCY_KEY_REUSED", "Use a fresh key for every new request."


class OpIdReused(Conflict):
    """The op_id stands for another write of this device."""

    code, remedy = "OP_ID_REUSED", "Use a fresh op_id for every new write."


class UnknownStrategy(Invalid):
    """A conflict is resolved by server_wins, client_wins or merge."""

    code, remedy = "UNKNOWN_STRATEGY", "Send one of the three, to the letter."


class OriginRefused(Forbidden):
    """A page of another origin may not open this socket."""

    code, remedy = "ORIGIN_REFUSED", "Serve the page from this host, or have its origin added to ALLOWED_ORIGINS."


class UnknownSubprotocol(Invalid):
    """None of the offered subprotocols is known."""

    code, remedy = "UNKNOWN_SUBPROTOCOL", "Offer baton.v1.json or baton.v1.proto, or none."


class TokenExpiring(Unauthenticated):
    """The access token ends soon, and the connection with it."""

    code, remedy = "TOKEN_EXPIRING", "Refresh the token and send AUTH again."
