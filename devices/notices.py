"""What this process does about the notices it hears, its own and those of others: mostly, it closes sockets."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from devices import presence, registry
from sessions_app import broadcast
from sessions_app.access import revocations
from sessions_app.sockets import connection
from sessions_app.sockets.connection import Connection

if TYPE_CHECKING:
    from devices.reception import Reception

Data = dict[str, Any]


def fenced(here: "Reception", data: Data) -> None:
    """A newer connection holds the device's lease (DEV-32)."""
    for one in here.members(data["session_id"]):
        if one.connection_id == data["connection_id"]:
            one.close(connection.REPLACED, at_once=True)


def disconnected(here: "Reception", data: Data) -> None:
    """The device was deleted (DEV-54); what has connected since then stays."""
    for one in here.members(data["session_id"]):
        if one.device_id == data["device_id"] and one.info.get("connected_at", "") <= data["at"]:
            one.close(connection.DISCONNECTED, at_once=True)


def session_ended(here: "Reception", data: Data) -> None:
    """The session is over (DEV-26)."""
    for one in here.members(data["session_id"]):
        one.close(connection.NO_SESSION)


def revoked(here: "Reception", data: Data) -> None:
    """Tokens are dead before their time (DEV-25); which ones, the process has noted already."""
    for one in list(here.sockets):
        close_if_revoked(one)


def close_if_revoked(one: Connection) -> None:
    """Close a socket whose token is dead, as far as this process knows."""
    if one.caller and one.caller.claims and revocations.covered(one.caller.claims):
        one.close(connection.REVOKED, at_once=True)


HEEDED: Final[dict[str, Callable[["Reception", Data], None]]] = {
    presence.FENCED: fenced,
    registry.DISCONNECTED: disconnected,
    broadcast.SESSION_ENDED: session_ended,
    broadcast.REVOKED: revoked,
}
