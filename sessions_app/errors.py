"""The domain errors that any part of the product may raise, and those of sessions and their logs."""

from sessions_app.kinds import (
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    NotFound,
    TooLarge,
    Unauthenticated,
    Unavailable,
)


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
    """PostgreSQL does not answer; a commit that it did not confirm may stand all the same (STA-65)."""

    code, remedy = "DATABASE_UNAVAILABLE", "Repeat the request later, under the same Idempotency-Key or op_id."


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
