"""The sockets of this process, and who of them is who. There is one reception per event loop.

No connection has a timer or a task of its own: the wheel looks after deadlines, upkeep.py after leases and losses.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from devices import admission, attachment, notices, presence
from devices.leases import Lease
from devices.upkeep import Upkeep
from sessions_app import broadcast
from sessions_app.access.auth import Caller
from sessions_app.fanout import frames, gaps
from sessions_app.fanout.feeds import Feed
from sessions_app.fanout.hub import ALL, Hub
from sessions_app.fanout.positions import Positions
from sessions_app.kinds import DomainError
from sessions_app.protocol import Notice
from sessions_app.sockets import connection, wheel
from sessions_app.sockets.connection import Connection
from sessions_app.sockets.threads import cross
from sessions_app.sockets.together import Together

FINISH_WITHIN_S: Final = 10.0

log = structlog.get_logger(__name__)


class Reception:
    """Who is connected to this process."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.wheel = wheel.here()
        self.positions = Positions()
        self.owners = Together(admission.owners)
        self.attaching = Together(attachment.attach)
        self.sockets: set[Connection] = set()  # all that are open
        self.unauthenticated: Counter[str] = Counter()  # by address
        self.is_draining = False
        hub.noticed.append(self._heed)
        hub.expect, hub.look = gaps.expect, gaps.look
        Upkeep(self).start()

    def open(self, one: Connection) -> None:
        """A socket of nobody yet."""
        self.sockets.add(one)
        self.unauthenticated[one.ip] += 1

    def authenticated(self, one: Connection, caller: Caller) -> None:
        """It is somebody's now: what goes to users and admins reaches it."""
        one.authenticate(caller)
        self._count_out(one)
        self.hub.enter(one)

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
        self.hub.leave(one)
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
        return [Lease.of(one) for one in self.members(session_id) if one.info]

    async def drain(self) -> None:
        """Say that the server restarts, wait for the frames in hand, close everything (DEV-69)."""
        self.is_draining = True
        restart = frames.broadcast("server_restart", "The server restarts; connect again.")
        self.hub.deliver(ALL, restart)
        until = self.hub.loop.time() + FINISH_WITHIN_S
        while any(one.is_busy for one in self.sockets) and self.hub.loop.time() < until:
            await asyncio.sleep(0.02)
        for one in list(self.sockets):
            one.close(connection.RESTART)

    def in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something nobody waits for; what goes wrong is logged."""
        return self.hub.loop.create_task(_attempt(work))

    def _heed(self, notice: Notice) -> None:
        act = notices.HEEDED.get(notice.kind)
        if act is not None:
            act(self, notice.data)

    def _count_out(self, one: Connection) -> None:
        self.unauthenticated[one.ip] -= 1
        if self.unauthenticated[one.ip] <= 0:
            del self.unauthenticated[one.ip]


class _Grace:
    """The end of one device's grace."""

    __slots__ = ("_device_id", "_here", "_session_id", "due_at")

    def __init__(self, reception: Reception, session_id: str, device_id: str) -> None:
        self._here, self._session_id, self._device_id = reception, session_id, device_id
        self.due_at = 0

    def check(self, now: float) -> None:
        """Announce the device unless it came back."""
        self._here.in_background(cross(presence.end_if_over, self._session_id, self._device_id))


async def _attempt(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except DomainError as error:
        log.warning("reception.work_failed", work=work.__qualname__, code=error.code)
    except Exception:
        log.exception("reception.work_defect", work=work.__qualname__)


def here() -> Reception:
    """The reception of the running loop, opened on first use."""
    hub = broadcast.start()
    if not _opened or _opened[0].hub is not hub:
        _opened[:] = [Reception(hub)]
    return _opened[0]


def seen_here(session_id: str) -> list[Lease]:
    """What this process knows of a session's devices; callable from any thread."""
    return _opened[0].seen_here(session_id) if _opened else []


async def drain() -> None:
    """Drain the sockets of this process, if it has any."""
    if _opened:
        await _opened[0].drain()


_opened: list[Reception] = []
