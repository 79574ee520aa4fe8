"""The process `run_pods` (POD-53): a tender for each pod with work, and the repairs that any worker does."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog
from django.conf import settings
from django.db import DatabaseError

from routing import inbox
from routing.models import Pod
from routing.pod import reaper, tending, workers
from routing.pod.backends import Backends
from routing.pod.hands import Hands
from routing.pod.notices import Listener
from routing.pod.repairs import Repair
from routing.pod.tender import Tender
from sessions_app.kinds import DomainError

LOOK_S = 1.0  # POD-53: whether rung or not
MEND_S = 5.0  # POD-37
REAP_S = 30.0  # POD-43: or a quarter of SESSION_TTL
STOP_S = 24.0  # POD-53: leases are given back within 25 s

log = structlog.get_logger(__name__)


class Supervisor:
    """One worker. `run` works until `stop` is called."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        self._rung = asyncio.Event()
        self._tenders: dict[int, tuple[Tender, asyncio.Task[None]]] = {}

    def stop(self) -> None:
        """Give everything back and end."""
        self._stopping.set()

    async def run(self, *, once: bool = False, ready: Callable[[], None] = lambda: None) -> None:
        """Work; calls `ready` once it does. With `once` one round of delivery, reaping and repair (POD-53)."""
        self._hands = Hands()
        self._hands.worker_id = (await self._hands(workers.register)).pk
        self._backends = Backends(self._hands)
        heart = asyncio.create_task(self._repeat(workers.HEARTBEAT_S, self._beat))
        try:
            await self._repair(reaper.QUICK)
            ready()
            await (self._one_round() if once else self._work(heart))
        finally:
            await self._give_back()
            await _cancel(heart)  # only now: others take what a silent worker holds
            with contextlib.suppress(DatabaseError):
                await self._hands(workers.leave, self._hands.worker_id)
            self._hands.close()

    async def _work(self, heart: asyncio.Task[None]) -> None:
        listener, reap_s = Listener(inbox.WORK, self._heard), min(REAP_S, settings.SESSION_TTL / 4)
        loops = [
            asyncio.create_task(loop)
            for loop in (
                listener.run(),
                self._look_always(),
                self._backends.run(),
                self._repeat(MEND_S, lambda: self._repair(reaper.QUICK)),
                self._repeat(reap_s, lambda: self._repair(reaper.slow())),
            )
        ]
        stopping = asyncio.create_task(self._stopping.wait())
        done, _ = await asyncio.wait({*loops, heart, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await _cancel(*loops, stopping)
        for task in done - {stopping}:
            task.result()  # a loop that ended is a defect: let it be seen

    async def _one_round(self) -> None:
        await self._repair(reaper.slow())
        backends = asyncio.create_task(self._backends.run())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.POD_WAKE_TIMEOUT_S + settings.POD_CHAT_TIMEOUT_S):
                while await self._look():
                    await asyncio.sleep(tending.LOOK_AGAIN_S)
        await _cancel(backends)

    async def _repeat(self, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await act()

    async def _look_always(self) -> None:
        while True:
            await self._look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._rung.wait(), LOOK_S)
            self._rung.clear()

    async def _look(self) -> bool:
        """Give each pod with work a tender, and ring the one it has; whether there was work."""
        try:
            found = await self._hands(tending.candidates, self._hands.worker_id)
        except DatabaseError as error:
            log.warning("pods.not_looked", error=str(error))
            return True
        for pod in found:
            if pod.pk in self._tenders:
                self._tenders[pod.pk][0].ring()
            else:
                self._tend(pod)
        return bool(found)

    def _tend(self, pod: Pod) -> None:
        tender = Tender(self._hands, pod, self._backends.of(pod))
        task = asyncio.create_task(tender.run())
        self._tenders[pod.pk] = tender, task
        task.add_done_callback(lambda done: self._tended(pod.pk, done))

    def _tended(self, pod_id: int, task: asyncio.Task[None]) -> None:
        del self._tenders[pod_id]
        if not task.cancelled() and (error := task.exception()):
            log.error("pod.tender_failed", exc_info=error)

    def _heard(self, notice: str) -> None:
        session_id = notice.removesuffix(inbox.FOR_CHAT)
        for tender, _ in self._tenders.values():
            if tender.session_id == session_id:
                tender.ring(for_chat=session_id != notice)
                return
        self._rung.set()

    async def _beat(self) -> None:
        try:
            if not await self._hands(workers.beat, self._hands.worker_id):
                await self._begin_anew()
        except DatabaseError as error:
            log.warning("worker.no_heartbeat", error=str(error))

    async def _begin_anew(self) -> None:
        """The others took this worker for dead and its pods from it: go on under another name."""
        log.warning("worker.given_up")
        self._hands.worker_id = (await self._hands(workers.register)).pk
        for tender, _ in self._tenders.values():
            tender.ring()

    async def _repair(self, repairs: tuple[Repair, ...]) -> None:
        for repair in repairs:
            try:
                await self._hands(_all_of, repair)
            except (DomainError, DatabaseError) as error:
                log.warning("pods.not_repaired", repair=repair.__name__, error=repr(error))

    async def _give_back(self) -> None:
        tasks = [task for _, task in self._tenders.values()]
        for tender, _ in self._tenders.values():
            tender.leave()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S)


def _all_of(repair: Repair) -> None:
    for _ in repair(False):
        pass


async def _cancel(*tasks: asyncio.Task[None] | asyncio.Task[bool]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
