"""The devices a session knows, connected or not (DEV-52 to DEV-54, DEV-60).

A device is known by its row, and by the operation log, whose forgotten versions leave their writers behind: what a
state write names needs no row of its own.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Max

from devices import leases, presence
from devices.errors import DeviceNotFound
from devices.leases import Lease
from devices.models import KNOWN_FOR, Device
from devices.presence import DeviceInfo
from sessions_app import broadcast, clock, sessions
from sessions_app.access.auth import Caller
from sessions_app.errors import RedisUnavailable
from sessions_app.fanout import frames
from sessions_app.models import StateVersion, Writer
from sessions_app.protocol import Notice

TOLD_FOR = dt.timedelta(minutes=10)
DISCONNECTED = "disconnected"  # the reason of DEVICE_LEFT, and the notice that closes the sockets


def listed(
    session_id: str, *, by: Caller, offline_too: bool = False, seen_here: Iterable[Lease] = ()
) -> tuple[list[DeviceInfo], int]:
    """The connected devices and, if asked for, the others the session knows; and how many are connected.

    Raises SessionNotFound.
    """
    session = sessions.visible(session_id, by=by)
    found = presence.online(session_id, seen_here=seen_here)
    online = {info["device_id"] for info in found}
    if offline_too:
        others = [device for device in known(session_id) if device.device_id not in online]
        found += [presence.described_offline(device, session.user_id) for device in others]
        found.sort(key=lambda info: (info["connected_at"] or "", info["device_id"]))
    return found, len(online)


def known(session_id: str) -> list[Device]:
    """Every device the session knows, with its last sign of life."""
    at = clock.now()
    found = {device.device_id: device for device in Device.objects.filter(session_id=session_id)}
    for device_id, written_at in _writers(session_id):
        device = found.setdefault(device_id, Device(session_id=session_id, device_id=device_id, last_seen=written_at))
        device.last_seen = max(device.last_seen, written_at)
    return [device for device in found.values() if device.is_known(at)]


def disconnect(session_id: str, device_id: str, *, by: Caller) -> int:
    """Close the device's sockets and forget it (DEV-54); how many there were.

    Raises SessionNotFound, DeviceNotFound.
    """
    session, at = sessions.visible(session_id, by=by), clock.now()
    try:
        holder = leases.forget(session_id, device_id)
    except RedisUnavailable:
        holder = None
    with transaction.atomic():
        is_known = any(device.device_id == device_id for device in known(session.session_id))
        if holder is None and not is_known:
            raise DeviceNotFound
        Device.objects.forget(session_id, device_id, at=at)
    deleted = {"session_id": session_id, "device_id": device_id, "at": clock.stamp(at)}
    broadcast.notify_session(session_id, Notice(DISCONNECTED, deleted))
    if holder is None:
        return 0
    broadcast.to_session(session_id, frames.device_left(device_id, DISCONNECTED))
    return int(holder.is_connected)


def forgotten(session_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Devices of these sessions that were deleted of late, as the notices that told of it."""
    deleted = Device.objects.filter(session_id__in=list(session_ids), forgotten_at__gt=clock.now() - TOLD_FOR)
    return [
        {"session_id": device.session_id, "device_id": device.device_id, "at": clock.stamp(device.forgotten_at)}
        for device in deleted
        if device.forgotten_at is not None
    ]


def forget_old(at: dt.datetime, *, dry_run: bool = False) -> int:
    """Drop the rows of devices that gave no sign for a week; how many."""
    old = Device.objects.filter(last_seen__lte=at - KNOWN_FOR), Writer.objects.filter(written_at__lte=at - KNOWN_FOR)
    return sum(rows.count() if dry_run else rows.delete()[0] for rows in old)


def _writers(session_id: str) -> Iterable[Any]:
    """Devices named by versions of the state, kept or forgotten, each with the times of writes."""
    kept = StateVersion.objects.filter(session_id=session_id, device_id__isnull=False)
    yield from kept.values_list("device_id").annotate(Max("created_at"))
    yield from Writer.objects.filter(session_id=session_id).values_list("device_id", "written_at")
