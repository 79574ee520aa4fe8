"""One pod in the hands of one worker: brought up, given its messages one by one, taken down (POD-33, POD-49)."""

import asyncio
import datetime as dt
import time

import structlog
from django.conf import settings
from django.db import DatabaseError

from routing import chat
from routing.chat import Delivery, NothingDue
from routing.models import Pod
from routing.pod import pod_endings, podcalls, tending, workers
from routing.pod.backend import Backend, Pulse, Rise
from routing.pod.hands import Hands
from routing.pod.outcomes import NotHanded, Outcome
from routing.pod.pod_moves import Overtaken
from routing.pod.pod_states import SERVING, State
from sessions_app import clock
from sessions_app.kinds import DomainError

CHECK_S = 1.0  # how often the process of a pod at rest is looked at
UNDISTURBED_S = 60.0  # how long the row of a pod at rest is not
RISING_S = 0.2  # POD-47
AGAIN_S = 1.0  # after something that may work the next time
LAST_CALL_S = 20.0  # how long a call may go on once the worker has to stop (POD-53)

log = structlog.get_logger(__name__)


class Tender:
    """The loop for one pod. `ring` makes it look at once; `leave` makes it hand the pod back and end."""

    def __init__(self, hands: Hands, pod: Pod, backend: Backend) -> None:
        self.session_id = pod.session_id
        self._hands, self._pod_id, self._backend = hands, pod.pk, backend
        self._bell, self._leaving = asyncio.Event(), False
        self._delivery: asyncio.Task[None] | None = None
        self._rung_meanwhile = False  # a message came while another was at work
        self._line: podcalls.Line | None = None
        self._mine = self._serving = False
        self._whole_look_at = 0.0  # monotonic; until then a calm pod needs no look at its row

    def ring(self, *, for_chat: bool = False) -> None:
        """Look now; `for_chat` once the message at work is done."""
        if for_chat and self._serving and not self._is_free:
            self._rung_meanwhile = True
            return
        if for_chat and self._is_free and self._line is None:
            self._line = podcalls.Line(self._backend.address)  # opened while the message is claimed
        self._bell.set()

    def leave(self) -> None:
        """Give the pod back as soon as its call is over."""
        self._leaving = True
        self._bell.set()

    async def run(self) -> None:
        """Tend the pod until it needs nothing or the worker stops."""
        structlog.contextvars.bind_contextvars(session_id=self.session_id)
        rest: float | None = 0.0
        try:
            while rest is not None and not self._leaving:
                await self._wait(rest)
                rest = await self._look()
        finally:
            await self._give_back()

    async def _wait(self, seconds: float) -> None:
        """Rest until the bell, but not while a serving pod is unwell."""
        until = time.monotonic() + seconds
        while not self._bell.is_set() and (left := until - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(min(left, CHECK_S)):
                    await self._bell.wait()
            except TimeoutError:
                if self._is_free and await self._backend.pulse() is not Pulse.WELL:
                    self._whole_look_at = 0.0
                    break
        self._bell.clear()

    @property
    def _is_free(self) -> bool:
        """Whether the pod serves and has no message at work."""
        return self._serving and (self._delivery is None or self._delivery.done())

    async def _look(self) -> float | None:
        """One step; how long to rest then, None when the pod needs nothing any more."""
        try:
            if self._is_free and (rest := await self._claim()) is not None:
                return rest
            pod = await self._hands(tending.take, self._pod_id, worker_id=self._hands.worker_id)
            self._mine = pod is not None and pod.worker_id == self._hands.worker_id
            return await self._step(pod) if pod is not None and self._mine else None
        except (DomainError, DatabaseError, Overtaken) as error:
            log.warning("pod.not_tended", error=repr(error))
            return AGAIN_S

    async def _claim(self) -> float | None:
        """Begin to deliver the next message; how long to rest then, None when the pod's row needs a look."""
        line, self._line = self._line, None
        try:
            found = await self._next()
        except BaseException:
            _hang_up(line)
            raise
        if isinstance(found, Delivery):
            self._delivery = asyncio.create_task(self._deliver(found, line))
            return CHECK_S
        _hang_up(line)
        left = self._whole_look_at - time.monotonic()
        if not found.is_calm or left <= 0:
            return None
        return left if found.until is None else min(left, _seconds_to(found.until))

    async def _step(self, pod: Pod) -> float | None:
        self._serving = pod.state in SERVING
        if pod.state == State.WAKING:
            return await self._bring_up(pod)
        if self._serving:
            return await self._serve()
        if not await self._backend.lie_down(pod):
            return AGAIN_S
        await self._hands(tending.stopped, self._pod_id)
        if pod.state == State.TERMINATING:
            await self._hands(tending.release, self._pod_id)
            await self._hands(pod_endings.finish_end, self.session_id)
        elif pod.state == State.FAILED and await self._hands(tending.retry, self._pod_id):
            return 0.0
        return 0.0 if self._bell.is_set() else None  # a message may have come meanwhile

    async def _bring_up(self, pod: Pod) -> float:
        if pod.backend_since is None:
            await self._hands(chat.show_wake, pod)
        rise = await self._backend.rise(pod)
        if rise is Rise.READY:
            await self._hands(tending.ready, self._pod_id)
            log.info("pod.ready", duration_ms=_since_ms(pod))
            return 0.0
        if rise is Rise.RISING:
            return RISING_S
        await self._hands(tending.failed, self._pod_id, reason=rise.value, output=self._backend.output)
        log.warning("pod.failed", reason=rise.value)
        return 0.0

    async def _serve(self) -> float:
        if not self._is_free:
            return CHECK_S
        pulse = await self._backend.pulse()
        if pulse is not Pulse.WELL:
            verb = tending.at_zero if pulse is Pulse.AT_ZERO else tending.lost
            await self._hands(verb, self._pod_id)
            return 0.0
        due = await self._hands(tending.settle_down, self._pod_id)
        rest = UNDISTURBED_S if due is None else _seconds_to(due)
        self._whole_look_at = time.monotonic() + rest
        return rest

    async def _next(self) -> Delivery | NothingDue:
        own = self._hands.worker_id
        return await self._hands(chat.claim, self._pod_id, session_id=self.session_id, worker_id=own)

    async def _deliver(self, delivery: Delivery, line: podcalls.Line | None) -> None:
        """Deliver this message, over `line` if there is one, and those right behind it."""
        following: Delivery | NothingDue = delivery
        calm = False
        try:
            while isinstance(following, Delivery) and not self._leaving:
                outcome = await podcalls.send(self._backend.address, following.message, line)
                line = None
                calm = await self._settle(following, outcome)
                if isinstance(outcome, NotHanded):
                    await self._hands(tending.lost, self._pod_id)
                following = NothingDue() if calm else await self._next()
        except (DomainError, DatabaseError, Overtaken) as error:
            log.warning("chat.not_claimed", error=repr(error))
        if calm:
            self._whole_look_at = time.monotonic() + min(UNDISTURBED_S, settings.POD_IDLE_SLEEP_S)
        if self._rung_meanwhile or not calm:
            self._rung_meanwhile = False
            self._bell.set()

    async def _settle(self, delivery: Delivery, outcome: Outcome) -> bool:
        """Write the outcome down, trying again while the lease holds: the pod has done the work already."""
        while True:
            try:
                return await self._hands(chat.settle, delivery, outcome)
            except (DomainError, DatabaseError) as error:
                log.warning("chat.not_settled", message_id=str(delivery.message.message_id), error=repr(error))
                if delivery.lease_until <= clock.now():
                    return False
                await asyncio.sleep(AGAIN_S)

    async def _give_back(self) -> None:
        """Leave nothing behind: no call, no process, no row that names this worker."""
        _hang_up(self._line)
        letting_go = asyncio.create_task(self._backend.let_go())
        if self._delivery is not None:
            await asyncio.wait({self._delivery}, timeout=LAST_CALL_S if self._mine else 0)
            self._delivery.cancel()
        await letting_go
        if self._mine:
            await self._hands(workers.hand_back, self._pod_id, orderly=True)


def _hang_up(line: podcalls.Line | None) -> None:
    if line is not None:
        line.close()


def _since_ms(pod: Pod) -> int:
    return round((clock.now() - (pod.woken_at or pod.since)).total_seconds() * 1000)


def _seconds_to(at: dt.datetime) -> float:
    return max(0.0, (at - clock.now()).total_seconds())
