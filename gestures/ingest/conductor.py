"""Conducts one capture: feeds the state machine and carries out what it asks, for the socket and the upload alike.

What the client is told is the transport's own affair: it gets those actions through `tell`.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from gestures import capture, errors, extractor, features, metrics, slots
from gestures.extractor import Lease
from gestures.features import Extracted
from gestures.ingest import running
from gestures.machine import moves
from gestures.machine.progress import Capture, Phase
from gestures.models import FeatureRef
from sessions_app import broadcast, drain
from sessions_app.access.auth import Caller
from sessions_app.access.limits import Rate, use
from sessions_app.errors import DatabaseUnavailable
from sessions_app.kinds import DomainError
from sessions_app.protocol import Notice
from sessions_app.sockets.threads import cross

CAPTURE_RATE = Rate("capture", "RATE_CAPTURE")

log = structlog.get_logger(__name__)

Read = Callable[[], Awaitable[moves.Event]]
Tell = Callable[["Conductor", moves.Action], Awaitable[None]]


class Conductor:
    """One capture on its way, from the first message to the last. `caller` is None until authenticated."""

    def __init__(self, start: Capture, tell: Tell, caller: Caller | None = None) -> None:
        self.capture = start
        self.caller = caller
        self.stored: FeatureRef | None = None
        self._tell = tell
        self._ending: DomainError | str = "disconnected"
        self._holder = uuid.uuid4()
        self._was_admitted = self._has_slot = False
        self._lease: Lease | None = None
        self._inbox: deque[moves.Event] = deque()
        self._woken: asyncio.Future[None] | None = None
        self._rechecks: set[asyncio.Task[None]] = set()
        self._unlisten: Callable[[], None] = _listening_to_nobody

    def post(self, event: moves.Event) -> None:
        """Something happened elsewhere; it is handled in its turn."""
        self._inbox.append(event)
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def run(self, read: Read, *first: moves.Action) -> None:
        """Conduct until the end. `read` gives the client's next message; it is asked only while one may come."""
        with running.here().hearing(self.post):
            try:
                await self._carry_out(first)
                await self._follow(read)
            except Exception as error:  # a defect ends this capture in the way the contract has for it
                log.error("capture.failed", exc_info=error)
                await self.handle(moves.Failed(errors.InternalError()))
            finally:
                await self._let_go()
                for task in self._rechecks:
                    task.cancel()
                self._account()

    async def handle(self, event: moves.Event) -> None:
        """Let the event happen now, and do what follows from it."""
        self.capture, actions = capture.step(self.capture, event, now())
        await self._carry_out(actions)

    async def _follow(self, read: Read) -> None:
        reading: asyncio.Future[moves.Event] | None = None
        try:
            while self.capture.phase is not Phase.CLOSED:
                if self._inbox:
                    await self.handle(self._inbox.popleft())
                elif reading is not None and reading.done():
                    event, reading = reading.result(), None
                    await self.handle(event)
                else:
                    if reading is None and self.capture.reading:
                        reading = asyncio.ensure_future(read())
                    await self._wait(reading)
                # After the message, not before: one that is here has stopped the timer that waited for it.
                if (due := capture.deadline(self.capture)) is not None and due <= now():
                    await self.handle(moves.Tick())
        finally:
            if reading is not None:
                reading.cancel()

    async def _wait(self, reading: asyncio.Future[moves.Event] | None) -> None:
        """Until a message has been read, something is posted, or a timer ends."""
        self._woken = asyncio.get_running_loop().create_future()
        due = capture.deadline(self.capture)
        timeout = None if due is None else max(0.0, due - now())
        waited: list[asyncio.Future[Any]] = [self._woken] if reading is None else [self._woken, reading]
        await asyncio.wait(waited, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        self._woken = None

    async def _carry_out(self, actions: Sequence[moves.Action]) -> None:
        for action in actions:
            match action:
                case moves.Forward():
                    self._worker.forward(action.jpeg)
                case moves.Finish():
                    self._worker.finish()
                case moves.Admit():
                    await self.handle(await self._admit(action.opened))
                case moves.Store():
                    await self.handle(await self._store())
                case moves.Revalidate():
                    self._recheck()
                case moves.Discard():
                    await self._let_go()
                case _:
                    await self._report(action)

    @property
    def _worker(self) -> Lease:
        assert self._lease is not None
        return self._lease

    async def _admit(self, opened: moves.Open) -> moves.Event:
        if drain.is_draining():
            return moves.Failed(errors.ServerShutdown())
        try:
            await cross(self._take_slot, opened)
            self._lease = Lease(self.post)
            await self._lease.begin(extractor.source(), opened.width, opened.height)
        except DatabaseUnavailable:
            return moves.Failed(errors.StoreFailed("The database does not answer."))
        except DomainError as refusal:
            return moves.Failed(refusal)
        self._unlisten = broadcast.listen(opened.session_id, self._noticed)
        return moves.Admitted()

    def _noticed(self, notice: Notice) -> None:
        if notice.kind == broadcast.SESSION_ENDED:  # SES-21; the recheck finds it too if the notice is lost
            self.post(moves.Failed(errors.SessionClosed()))

    def _take_slot(self, opened: moves.Open) -> None:
        assert self.caller is not None
        if not self.capture.upload and (usage := use(CAPTURE_RATE, self.caller)):
            usage.check()
        slots.take(opened, holder=self._holder, by=self.caller)
        self._was_admitted = self._has_slot = True

    async def _store(self) -> moves.Event:
        done, worker = self.capture, self._worker
        assert done.timestamp_end is not None
        extracted = Extracted(done.open, done.timestamp_end, worker.rows, worker.layout, done.size_bytes)
        try:
            self.stored = await cross(features.store, extracted)
            self._ending = "completed"
            metrics.FRAMES.inc(done.frames)
            metrics.DRAIN_SECONDS.observe(now() - done.since)
        except DomainError as refusal:
            return moves.Failed(refusal)
        finally:
            await self._let_go()  # before the client learns of it, who may open the next capture at once
        return moves.Stored()

    def _recheck(self) -> None:
        task = asyncio.get_running_loop().create_task(self._keep_slot())
        self._rechecks.add(task)
        task.add_done_callback(self._rechecks.discard)

    async def _keep_slot(self) -> None:
        try:
            await cross(slots.keep, self.capture.open, holder=self._holder)
        except DatabaseUnavailable:
            return  # the next recheck will tell
        except DomainError as refusal:
            self.post(moves.Failed(refusal))

    async def _report(self, action: moves.Action) -> None:
        if isinstance(action, moves.Abort):
            self._ending = await self._foremost(action.error)
            action = moves.Abort(self._ending)
        await self._tell(self, action)

    async def _foremost(self, error: DomainError) -> DomainError:
        """Why the capture ends: that its session is no longer active outranks every other reason (GES-18)."""
        opened = self.capture.open
        if self._was_admitted:
            try:
                await cross(slots.active_session, opened.session_id, user_id=opened.user_id)
            except (errors.SessionClosed, errors.SessionInvalid) as gone:
                return gone
            except DatabaseUnavailable:
                return error
        return error

    async def _let_go(self) -> None:
        """Release worker, slot and listener, whichever there is."""
        self._unlisten()
        self._unlisten = _listening_to_nobody
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.discard()
        if self._has_slot:
            self._has_slot = False
            with suppress(DatabaseUnavailable):  # the lease ends by itself
                await cross(slots.free, self.capture.open.session_id, holder=self._holder)

    def _account(self) -> None:
        """How each capture ended goes to the service's log and the metrics, never to the session's log (GES-28)."""
        opened = self.capture.opened
        if opened is None:
            return
        outcome = errors.error_code(self._ending) if isinstance(self._ending, DomainError) else self._ending
        metrics.CAPTURES.labels(outcome).inc()
        log.info(
            "capture.ended",
            outcome=outcome,
            detail=self._ending.detail if isinstance(self._ending, DomainError) else None,
            record_id=opened.record_id,
            session_id=opened.session_id,
            user_id=opened.user_id,
            frames=self.capture.frames,
        )


def _listening_to_nobody() -> None:
    """What there is to stop before a capture listens."""


def now() -> float:
    """The clock of all timers: the event loop's own, in monotonic seconds."""
    return asyncio.get_running_loop().time()
