"""A pod as a Deployment, seen from a worker (POD-60 to POD-63), and the one observer all of a worker's pods share."""

import asyncio
import time
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import DatabaseError

from routing import cluster, manifests
from routing.cluster import Seen
from routing.errors import ClusterUnavailable
from routing.models import Pod
from routing.pod import tending
from routing.pod.backend import Pulse, Rise, is_over
from routing.pod.hands import Hands
from routing.pod.pod_moves import Overtaken
from routing.pod.pod_states import State
from routing.pod.podcalls import Address
from sessions_app.kinds import DomainError

LIST_ALL_S = 10.0  # POD-62
LIST_RISING_S = 1.0
MOST_NAMED = 50  # more sessions than this are not named in a selector
NOT_READY_S = 10.0  # POD-32

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a list showed of one session, and when that list was asked for (monotonic, s)."""

    at: float
    seen: Seen | None


class Observer:
    """Lists Deployments: all of them now and then, those of rising pods every second."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._sights: dict[str, Sight] = {}
        self.rising: set[str] = set()

    def of(self, session_id: str, *, since: float = 0.0) -> Sight | None:
        """What a list asked for after `since` showed of the session; None if there was none yet."""
        sight = self._sights.get(session_id)
        return sight if sight is not None and sight.at >= since else None

    def watch(self, session_id: str) -> None:
        """Keep sights of a session."""
        self._sights.setdefault(session_id, Sight(-1.0, None))

    def forget(self, session_id: str) -> None:
        """Keep them no longer."""
        self._sights.pop(session_id, None)
        self.rising.discard(session_id)

    async def run(self) -> None:
        """List for ever; a cluster that is down is asked again."""
        all_at = 0.0
        while True:
            try:
                if time.monotonic() >= all_at:
                    await self._list_all()
                    all_at = time.monotonic() + LIST_ALL_S
                elif self.rising:
                    await self._list(sorted(self.rising) if len(self.rising) <= MOST_NAMED else None)
            except (DomainError, DatabaseError, Overtaken) as error:
                log.warning("cluster.not_observed", error=repr(error))
            await asyncio.sleep(LIST_RISING_S)

    async def _list_all(self) -> None:
        # Who sleeps is asked first: a replica that a later list shows was not left over from before the sleep.
        asleep = await self._hands(tending.asleep)
        for seen in await self._list(None):
            if seen.wanted and seen.session_id in asleep:
                await self._hands(tending.scaled_up, seen.session_id)

    async def _list(self, named: list[str] | None) -> list[Seen]:
        at = time.monotonic()
        found = await self._hands(cluster.deployments, named)
        by_session = {seen.session_id: seen for seen in found}
        for session_id in named if named is not None else list(self._sights):
            if session_id in self._sights:
                self._sights[session_id] = Sight(at, by_session.get(session_id))
        return found


class ClusterBackend:
    """One session's Deployment."""

    def __init__(self, hands: Hands, observer: Observer, pod: Pod) -> None:
        self._hands, self._observer = hands, observer
        self._pod_id, self._session_id, self._user_id = pod.pk, pod.session_id, pod.session.user_id
        self._asked_at = self._well_at = time.monotonic()
        observer.watch(self._session_id)

    @property
    def address(self) -> Address:
        """The Service, or where POD_URL_TEMPLATE says."""
        name = manifests.name_of(self._session_id)
        url = settings.POD_URL_TEMPLATE.format(name=name, namespace=settings.PODS_NAMESPACE)
        return Address(url.rstrip("/"), self._session_id, self._user_id)

    @property
    def output(self) -> str:
        """The cluster keeps it."""
        return ""

    async def rise(self, pod: Pod) -> Rise:
        """Ask for a replica, again if it was taken away, until one is ready."""
        self._observer.rising.add(self._session_id)
        if pod.backend_since is None:
            await self._ask()
            return Rise.RISING
        sight = self._observer.of(self._session_id, since=self._asked_at)
        if sight is not None and sight.seen is not None and sight.seen.ready:
            self._well_at = time.monotonic()
            self._observer.rising.discard(self._session_id)
            return Rise.READY
        if is_over(pod.backend_since):
            self._observer.rising.discard(self._session_id)
            return Rise.START_TIMEOUT
        if sight is not None and (sight.seen is None or not sight.seen.wanted):
            await self._ask()
        return Rise.RISING

    async def pulse(self) -> Pulse:
        """What the last list showed since the pod was ready."""
        sight = self._observer.of(self._session_id, since=self._well_at)
        if sight is None:
            return Pulse.WELL
        if sight.seen is None:
            return Pulse.LOST
        if not sight.seen.wanted:
            return Pulse.AT_ZERO
        if sight.seen.ready:
            self._well_at = sight.at
        return Pulse.LOST if sight.at - self._well_at >= NOT_READY_S else Pulse.WELL

    async def lie_down(self, pod: Pod) -> bool:
        """Take the replica away; what is terminating is deleted with all the rest."""
        if pod.state == State.TERMINATING:
            return True
        try:
            await self._hands(cluster.scale, self._session_id, 0)
        except ClusterUnavailable:
            return False
        return True

    async def let_go(self) -> None:
        """A Deployment outlives its worker."""
        self._observer.forget(self._session_id)

    async def _ask(self) -> None:
        """Raises the Cluster errors; the wake timeout does not count before the cluster has heard."""
        await self._hands(cluster.wake, self._session_id, self._user_id)
        self._asked_at = time.monotonic()
        await self._hands(tending.asked, self._pod_id)
