"""What a process does at intervals for all of its sockets: renew leases, find what was lost on the way, count.

Notices travel by Redis and may be lost with it. So the rows are asked as well: for revocations, for sessions that have
ended, for devices that were deleted, for states that moved on.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings

from devices import census, leases, notices, presence, registry
from devices.leases import Holder, Lease
from sessions_app import broadcast
from sessions_app.access import revocations
from sessions_app.errors import RedisUnavailable
from sessions_app.fanout import frames, gaps
from sessions_app.fanout.hub import ADMIN
from sessions_app.models import Session
from sessions_app.sockets import connection
from sessions_app.sockets.connection import Connection
from sessions_app.sockets.threads import cross

if TYPE_CHECKING:
    from devices.reception import Reception

RENEW_S: Final = 5.0
REREAD_S: Final = 20.0  # well within the 60 s of DEV-25
COUNT_S: Final = 10.0  # DEV-72
MOST_PER_RENEWAL: Final = 500


class Upkeep:
    """The regular work of one reception."""

    def __init__(self, here: "Reception") -> None:
        self._here = here
        self._generation = ""  # of Redis, when the leases were last renewed there

    def start(self) -> None:
        """Begin; each work skips its turn while its last one still runs."""
        every = {
            self.renew_leases: RENEW_S,
            self.sweep: presence.SWEEP_S,
            self.reread: REREAD_S,
            self.count: COUNT_S,
        }
        for work, seconds in every.items():
            self._here.wheel.every(seconds, self._in_turn(work))

    async def renew_leases(self) -> None:
        """Renew the leases of all that gave a sign of life; all of them when Redis has lost its memory (DEV-33)."""
        try:
            generation = await cross(leases.generation)
            lost_memory = generation != self._generation
            due = [one for one in self._here.sockets if one.info and (lost_memory or one.was_heard)]
            for start in range(0, len(due), MOST_PER_RENEWAL):
                await self._renew(due[start : start + MOST_PER_RENEWAL], lost_memory)
            self._generation = generation
        except RedisUnavailable:
            self._generation = ""

    async def sweep(self) -> None:
        """Announce the devices whose lease has run out, and look for state frames that did not come."""
        await gaps.check(list(self._here.hub.feeds.values()))
        await cross(presence.sweep)

    async def reread(self) -> None:
        """Ask the rows what notices should have told."""
        await cross(revocations.refresh)
        notices.revoked(self._here, {})
        session_ids = list(self._here.hub.feeds)
        for session in await cross(_ended, session_ids):
            broadcast.session_has_ended(session)
        for device in await cross(registry.forgotten, session_ids):
            notices.disconnected(self._here, device)

    async def count(self) -> None:
        """Put this process's numbers where all are added up, and show the sums to the admins here."""
        here = self._here
        await cross(census.report, census.counted(here.sockets))
        if here.hub.admins:
            figures = await cross(census.figures)
            here.hub.deliver(ADMIN, frames.admin_update("metrics", "The figures of the last 10 s.", figures))

    async def _renew(self, due: Sequence[Connection], lost_memory: bool) -> None:
        by_id = {one.connection_id: one for one in due}
        for one in due:
            one.was_heard = False
        held = [(Holder.of(one), one.info, Lease.of(one).last_seen) for one in due]
        renewed = await cross(leases.renew, held, ttl_s=settings.PRESENCE_TTL_S)
        for connection_id in renewed.lost:
            by_id[connection_id].close(connection.REPLACED, at_once=True)
        for connection_id in renewed.made:
            one = by_id[connection_id]
            if not lost_memory and not one.outbox.is_closing:
                presence.tell_joined(Holder.of(one), one.info)  # it had been announced as gone

    def _in_turn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        running: asyncio.Task[None] | None = None

        def begin() -> None:
            nonlocal running
            if running is None or running.done():
                running = self._here.in_background(work())

        return begin


def _ended(session_ids: list[str]) -> list[Session]:
    return list(Session.objects.filter(pk__in=session_ids, status=Session.Status.CLOSED))
