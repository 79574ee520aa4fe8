"""Who is connected: a lease in Redis that ages (DEV-27 to DEV-34). Nothing here is recorded; only the telling lasts.

With Redis away each process tells what it sees of its own sockets, and settles the leases when Redis is back.
"""

import datetime as dt
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import structlog
from django.conf import settings

from devices import leases
from devices.errors import TooManyConnections
from devices.leases import Holder, Lease, Taken
from devices.models import Device
from sessions_app import broadcast, clock
from sessions_app.errors import RedisUnavailable
from sessions_app.fanout import frames
from sessions_app.protocol import Notice

GRACE_S: Final = 15.0  # DEV-30
SEEN_EVERY: Final = dt.timedelta(hours=1)
SWEEP_S: Final = 10.0  # DEV-28
FENCED: Final = "fenced"  # the notice that a connection has lost its lease
MOST_PER_SWEEP: Final = 1000

LOST: Final = "lost"  # reasons of DEVICE_LEFT (DEV-30) that are decided here
CLOSED: Final = "closed"

DeviceInfo = dict[str, Any]

log = structlog.get_logger(__name__)
_owed: deque[tuple[Holder, str | None]] = deque()  # leases to give back when Redis returns, and what to tell then


class Entering(NamedTuple):
    """A connection that is to hold its device's lease."""

    holder: Holder
    says: dict[str, Any]
    replaced_here: str | None  # the device's older connection in this process: all there is to know without Redis


def join(entering: Sequence[Entering]) -> list[TooManyConnections | None]:
    """Take the devices' leases in this order, and tell the others what that changes; for each, what refuses it."""
    at = clock.now().timestamp()
    asked = [(each.holder, each.says) for each in entering]
    most = settings.WS_MAX_CONNECTIONS_PER_USER
    try:
        taken = leases.take(asked, at=at, until=at + settings.PRESENCE_TTL_S, most=most)
    except RedisUnavailable:
        replaced = [each.replaced_here for each in entering]
        taken = [Taken("taken", before) if before else Taken("new", "") for before in replaced]
    for each, lease in zip(entering, taken, strict=True):
        _tell_taken(each.holder, each.says, lease)
    return [TooManyConnections() if lease.outcome == "full" else None for lease in taken]


def _tell_taken(holder: Holder, says: dict[str, Any], taken: Taken) -> None:
    if taken.outcome == "full":
        return
    if taken.outcome == "taken":
        broadcast.notify_session(
            holder.session_id, Notice(FENCED, {"session_id": holder.session_id, "connection_id": taken.before})
        )
        return
    if taken.outcome == "expired":
        _tell_left(holder.session_id, holder.device_id, taken.before)
    tell_joined(holder, says)


def tell_joined(holder: Holder, says: dict[str, Any]) -> None:
    """DEVICE_JOINED to the others."""
    lease = Lease(holder.device_id, holder.connection_id, clock.now().timestamp(), says)
    broadcast.to_session(holder.session_id, frames.device_joined(described(holder.session_id, lease)))


def leave(holder: Holder, reason: str, *, since: str) -> None:
    """Give the lease back and tell the others; after a lost socket, only once the grace is over.

    `since` is when the device connected; a row as old as that would let the session forget it too early.
    """
    at = clock.now()
    if at - clock.parse(since) > SEEN_EVERY:
        Device.objects.seen(holder.session_id, [holder.device_id], at=at)
    try:
        if reason == LOST:
            leases.grace(holder, until=at.timestamp() + GRACE_S)
            return
        was_holder = leases.end(holder)
    except RedisUnavailable:
        _owed.append((holder, reason if reason == LOST else None))
        was_holder = reason != LOST
    if was_holder:
        _tell_left(holder.session_id, holder.device_id, reason)


def end_if_over(session_id: str, device_id: str) -> None:
    """Announce a device whose lease has run out; of all who try, one does (DEV-28). Raises RedisUnavailable."""
    reason = leases.claim(session_id, device_id, at=clock.now().timestamp())
    if reason:
        _tell_left(session_id, device_id, reason)


def sweep(*, dry_run: bool = False) -> int:
    """Announce every device whose lease has run out; how many there were. Raises RedisUnavailable."""
    if dry_run:
        return len(leases.due(at=clock.now().timestamp(), most=MOST_PER_SWEEP))
    _settle()
    due = leases.due(at=clock.now().timestamp(), most=MOST_PER_SWEEP)
    for session_id, device_id in due:
        end_if_over(session_id, device_id)
    return len(due)


def online(session_id: str, *, seen_here: Iterable[Lease] = ()) -> list[DeviceInfo]:
    """The connected devices, those in grace included (DEV-52); without Redis those that are connected here."""
    try:
        held = {lease.device_id: lease for lease in leases.of_session(session_id)}
    except RedisUnavailable:
        held = {}
    for lease in seen_here:
        known = held.get(lease.device_id)
        if known is None or known.connection_id == lease.connection_id:
            held[lease.device_id] = lease
    found = [described(session_id, lease) for lease in held.values()]
    return sorted(found, key=lambda info: (info["connected_at"], info["device_id"]))


def described(session_id: str, lease: Lease) -> DeviceInfo:
    """A connected device as clients see it (DEV-34)."""
    return {
        "device_id": lease.device_id,
        "device_type": lease.says.get("device_type"),
        "device_name": lease.says.get("device_name"),
        "os_version": lease.says.get("os_version"),
        "app_version": lease.says.get("app_version"),
        "session_id": session_id,
        "user_id": lease.says["user_id"],
        "connected_at": lease.says["connected_at"],
        "last_seen": clock.stamp(dt.datetime.fromtimestamp(lease.last_seen, dt.UTC)),
        "is_online": True,
        "connection_id": lease.connection_id,
    }


def described_offline(device: Device, user_id: str) -> DeviceInfo:
    """A known device that is not connected."""
    return {
        "device_id": device.device_id,
        **device.described(),
        "session_id": device.session_id,
        "user_id": user_id,
        "connected_at": device.connected_at and clock.stamp(device.connected_at),
        "last_seen": clock.stamp(device.last_seen),
        "is_online": False,
        "connection_id": None,
    }


def _settle() -> None:
    """Give back the leases that could not be while Redis was away. Raises RedisUnavailable."""
    while _owed:
        holder, reason = _owed[0]
        leases.end(holder)
        _owed.popleft()
        if reason and not any(lease.device_id == holder.device_id for lease in leases.of_session(holder.session_id)):
            _tell_left(holder.session_id, holder.device_id, reason)


def _tell_left(session_id: str, device_id: str, reason: str) -> None:
    broadcast.to_session(session_id, frames.device_left(device_id, reason))
