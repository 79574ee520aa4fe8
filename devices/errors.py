"""What can be wrong about devices and handoffs."""

from sessions_app.kinds import Forbidden, Gone, Invalid, NotFound, RateLimited


class DeviceMismatch(Forbidden):
    """The device is not the one this is for."""

    code, remedy = "DEVICE_MISMATCH", "Use a token of the device that is named."


class DeviceNotFound(NotFound):
    """The session knows no such device."""

    code, remedy = "DEVICE_NOT_FOUND", "List the session's devices with `include=offline`."


class TooManyConnections(RateLimited):
    """The user has as many sockets open as one may have."""

    code, remedy = "TOO_MANY_CONNECTIONS", "Close another connection first."
    retry_after_s = 30


class TooManyUnauthenticated(RateLimited):
    """Too many sockets of this address have not authenticated yet."""

    code, remedy = "TOO_MANY_UNAUTHENTICATED", "Authenticate the open sockets first."
    retry_after_s = 10


class SameDevice(Invalid):
    """A handoff needs two different devices."""

    code, remedy = "SAME_DEVICE", "Name another device as target."


class HandoffNotFound(NotFound):
    """The session has no such handoff."""

    code, remedy = "HANDOFF_NOT_FOUND", "Ask the source device for a new token."


class HandoffUsed(Gone):
    """The handoff has been redeemed."""

    code, remedy = "HANDOFF_USED", "Ask the source device for a new token."


class HandoffExpired(Gone):
    """The handoff was not redeemed in time."""

    code, remedy = "HANDOFF_EXPIRED", "Ask the source device for a new token."
