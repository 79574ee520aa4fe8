"""What can be wrong with a frame or a connection (DEV-65)."""

from sessions_app.kinds import Forbidden, Invalid, TooLarge, Unauthenticated


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


class OriginRefused(Forbidden):
    """A page of another origin may not open this socket."""

    code, remedy = "ORIGIN_REFUSED", "Serve the page from this host, or have its origin added to ALLOWED_ORIGINS."


class UnknownSubprotocol(Invalid):
    """None of the offered subprotocols is known."""

    code, remedy = "UNKNOWN_SUBPROTOCOL", "Offer baton.v1.json or baton.v1.proto, or none."


class TokenExpiring(Unauthenticated):
    """The access token ends soon, and the connection with it."""

    code, remedy = "TOKEN_EXPIRING", "Refresh the token and send AUTH again."
