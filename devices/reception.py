"""The sockets of this process and what is done for all of them at once: deadlines, leases, revocations (DEV-24 ff.).

There is one per event loop. No connection has a timer or a task of its own.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
from django.conf import settings

from devices import leases, presence
from devices.leases import Holder, Lease
from sessions_app import broadcast, clock, connection, gaps, revocations
from sessions_app.auth import Caller
from sessions_app.connection import Connection
from sessions_app.errors import DomainError, RedisUnavailable
from sessions_app.feeds import Feed
from sessions_app.hub import Hub
from sessions_app.positions import Positions
from sessions_app.protocol import Notice
from sessions_app.threads import cross
from sessions_app.wheel import Wheel

RENEW_S: Final = 5.0
REREAD_S: Final = 20.0  # revocations whose notice was lost (DEV-25)
MOST_PER_RENEWAL: Final = 500
DISCONNECT: Final = "disconnect"  # the notice that a device was deleted (DEV-54)

log = structlog.get_logger(__name__)


class Reception:
    """Who is connected to this process, and the upkeep of their presence."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.wheel = Wheel()
        self.sockets: set[Connection] = set()  # all that are open
        self.unauthenticated: Counter[str] = Counter()  # by address
        self.positions = Positions()
        self._generation = ""
        hub.noticed.append(self._heed)
        hub.expect, hub.look = gaps.expect, gaps.look
        self.wheel.every(RENEW_S, self._in_turn(self.renew_leases))
        self.wheel.every(presence.SWEEP_S, self._in_turn(self.sweep))
        self.wheel.every(REREAD_S, self._in_turn(self.reread_revocations))
        self.wheel.start()

    def open(self, one: Connection) -> None:
        """A socket of nobody yet."""
        self.sockets.add(one)
        self.unauthenticated[one.ip] += 1

    def authenticated(self, one: Connection, caller: Caller) -> None:
        """It is somebody's now: what goes to users and admins reaches it."""
        one.authenticate(caller)
        self._count_out(one)
        self.hub.connections.add(one)

    def join(self, one: Connection) -> Feed:
        """Let it hear what the session's members are told."""
        feed = self.hub.feed(one.session_id)
        feed.members += (one,)
        return feed

    def leave(self, one: Connection) -> None:
        """It takes no part any more, in whatever it took part."""
        if one.channel is None and one in self.sockets:
            self._count_out(one)
        self.sockets.discard(one)
        self.hub.connections.discard(one)
        feed = self.hub.feeds.get(one.session_id)
        if feed is not None:
            feed.members = tuple(member for member in feed.members if member is not one)
            self.hub.release(feed)

    def look_after_grace(self, one: Connection) -> None:
        """Announce its device when the grace is over, unless it came back (DEV-31)."""
        self.wheel.watch(_Grace(self, one.session_id, one.device_id), self.hub.loop.time() + presence.GRACE_S)

    def members(self, session_id: str) -> list[Connection]:
        """The connections here that take part in the session."""
        feed = self.hub.feeds.get(session_id)
        return [one for one in (feed.members if feed else ()) if isinstance(one, Connection)]

    def elsewhere(self, mine: Connection) -> str | None:
        """Another connection here of the same device in the same session."""
        for other in self.members(mine.session_id):
            if other is not mine and other.device_id == mine.device_id and not other.outbox.is_closing:
                return other.connection_id
        return None

    def seen_here(self, session_id: str) -> list[Lease]:
        """What this process knows of a session's devices, later than Redis may know it."""
        return [lease_of(one) for one in self.members(session_id) if one.info]

    async def renew_leases(self) -> None:
        """Renew the leases of all that gave a sign of life; all of them when Redis has lost its memory (DEV-33)."""
        try:
            generation = await cross(leases.generation)
            lost_memory = generation != self._generation
            due = [one for one in self.sockets if one.info and (lost_memory or one.was_heard)]
            await self._renew(due, lost_memory)
            self._generation = generation
        except RedisUnavailable:
            self._generation = ""

    async def sweep(self) -> None:
        """Announce the devices whose lease has run out, and find frames that were lost on the way."""
        await cross(presence.sweep)
        await gaps.check(list(self.hub.feeds.values()))

    async def reread_revocations(self) -> None:
        """Close sockets whose revocation was not heard of."""
        await cross(revocations.refresh)
        self._close_revoked()

    async def _renew(self, due: list[Connection], lost_memory: bool) -> None:
        for start in range(0, len(due), MOST_PER_RENEWAL):
            part = due[start : start + MOST_PER_RENEWAL]
            for one in part:
                one.was_heard = False
            held = [(holder_of(one), one.info, lease_of(one).last_seen) for one in part]
            renewed = await cross(leases.renew, held, ttl_s=settings.PRESENCE_TTL_S)
            self._settle({one.connection_id: one for one in part}, renewed, lost_memory)

    def _settle(self, part: dict[str, Connection], renewed: leases.Renewed, lost_memory: bool) -> None:
        for connection_id in renewed.lost:
            part[connection_id].close(connection.REPLACED, at_once=True)
        for connection_id in renewed.made:
            one = part[connection_id]
            if not lost_memory and not one.outbox.is_closing:
                presence.tell_joined(holder_of(one), one.info)  # it had been announced as gone

    def _heed(self, notice: Notice) -> None:
        data = notice.data
        match notice.kind:
            case presence.FENCED:
                for one in self.members(data["session_id"]):
                    if one.connection_id == data["connection_id"]:
                        one.close(connection.REPLACED, at_once=True)
            case broadcast.SESSION_ENDED:
                for one in self.members(data["session_id"]):
                    one.close(connection.NO_SESSION)
            case broadcast.REVOKED:
                self._close_revoked()

    def _close_revoked(self) -> None:
        for one in list(self.sockets):
            if one.caller and one.caller.claims and revocations.covered(one.caller.claims):
                one.close(connection.REVOKED, at_once=True)

    def _count_out(self, one: Connection) -> None:
        self.unauthenticated[one.ip] -= 1
        if self.unauthenticated[one.ip] <= 0:
            del self.unauthenticated[one.ip]

    def in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something nobody waits for; what goes wrong is logged."""
        return self.hub.loop.create_task(_attempt(work))

    def _in_turn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        """Something regular that skips its turn while the last one still runs."""
        running: asyncio.Task[None] | None = None

        def begin() -> None:
            nonlocal running
            if running is None or running.done():
                running = self.in_background(work())

        return begin


async def _attempt(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except DomainError as error:
        log.warning("reception.upkeep_failed", work=work.__qualname__, code=error.code)
    except Exception:
        log.exception("reception.upkeep_defect", work=work.__qualname__)


class _Grace:
    """The end of one device's grace."""

    __slots__ = ("_device_id", "_here", "_session_id", "due_at")

    def __init__(self, here: Reception, session_id: str, device_id: str) -> None:
        self._here, self._session_id, self._device_id = here, session_id, device_id
        self.due_at = 0

    def check(self, now: float) -> None:
        """Announce the device unless it came back."""
        self._here.in_background(cross(presence.end_if_over, self._session_id, self._device_id))


def holder_of(one: Connection) -> Holder:
    """The connection as the holder of its device's lease."""
    return Holder(one.session_id, one.user_id, one.device_id, one.connection_id)


def lease_of(one: Connection) -> Lease:
    """The connection's lease as this process knows it."""
    silent_s = asyncio.get_running_loop().time() - one.heard_at
    return Lease(one.device_id, one.connection_id, clock.now().timestamp() - silent_s, one.info)


_receptions: dict[int, Reception] = {}


def here() -> Reception:
    """The reception of the running loop."""
    hub = broadcast.start()
    reception = _receptions.get(id(hub))
    if reception is None:
        _receptions.clear()
        reception = _receptions[id(hub)] = Reception(hub)
    return reception
