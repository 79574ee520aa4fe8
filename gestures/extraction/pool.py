"""The local extractor workers: started ahead, handed out for one capture each, replaced when they end (GES-30, GES-35).

A worker is counted ready only when it says so: its libraries are loaded and a fresh graph waits for the next capture.
"""

import asyncio
import os
import sys
from collections import deque
from pathlib import Path

import structlog

from gestures.errors import ExtractorBusy, ExtractorUnavailable
from gestures.extraction.child import Channel, Heard, State, Worker

READY_WAIT_S = 10.0  # how long an open waits for a worker that is on its way; a cold import takes 1 to 4 s
LONGEST_PAUSE_S = 30.0  # between attempts to start a worker that never becomes ready

# A worker gets nothing of our environment: no secret, no server's address. The two switches tame MediaPipe's log.
_ENVIRONMENT = {"GLOG_minloglevel": "2", "TF_CPP_MIN_LOG_LEVEL": "3", "LANG": "C.UTF-8", "PATH": os.defpath}
_ROOT = Path(__file__).resolve().parents[2]

log = structlog.get_logger(__name__)


class Pool:
    """As many workers as are wanted, kept alive; belongs to one event loop."""

    def __init__(self, *, size: int, backend: str) -> None:
        self.broken: str | None = None  # why the latest worker that never became ready did not
        self._size, self._backend = size, backend
        self._workers: set[Worker] = set()
        self._waiting: deque[asyncio.Future[Worker]] = deque()
        self._failures = 0
        self._spawning: set[asyncio.Task[None]] = set()
        self._stopping = False

    def start(self) -> None:
        """Start the workers that are missing."""
        for _ in range(self._size - len(self._workers) - len(self._spawning)):
            self._spawn(0.0)

    async def reserve(self, width: int, height: int, heard: Heard) -> Channel:
        """A worker for one capture. Raises ExtractorBusy if all are taken, ExtractorUnavailable if none can serve."""
        self.start()
        worker = next((worker for worker in self._workers if worker.state is State.READY), None)
        worker = worker or await self._wait()
        if worker.state is State.DEAD:
            raise ExtractorUnavailable("The worker died before the capture began.")
        worker.take(width, height, heard)
        return worker

    async def stop(self) -> None:
        """End all workers."""
        self._stopping = True
        for task in self._spawning:
            task.cancel()
        for worker in list(self._workers):
            worker.end()
        for _ in range(20):
            if not self._workers:
                return
            await asyncio.sleep(0.05)
        for worker in list(self._workers):
            worker.kill()

    def counts(self) -> dict[str, int]:
        """How many workers are in each state, those about to be started included."""
        found = dict.fromkeys((state.value for state in State if state is not State.DEAD), 0)
        for worker in self._workers:
            found[worker.state.value] += 1
        found[State.STARTING.value] += len(self._spawning)
        return found

    def ready(self, worker: Worker) -> None:
        """A worker's fresh graph waits for a capture; the longest waiting open gets it."""
        self.broken, self._failures = None, 0
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                worker.state = State.TAKEN
                waiter.set_result(worker)
                return

    def buried(self, worker: Worker, was: State) -> None:
        """A worker has ended; another takes its place, after a pause if it never became ready."""
        self._workers.discard(worker)
        if self._stopping:
            return
        if was is State.STARTING:
            self.broken = self.broken or "a worker died while it started"
            log.error("extractor.unavailable", error=self.broken)
            self._fail_waiting()
            self._failures += 1
        self._spawn(min(2.0 ** (self._failures - 1), LONGEST_PAUSE_S) if self._failures else 0.0)

    async def _wait(self) -> Worker:
        """The next worker that becomes ready, if one is on its way for us."""
        if self.broken:
            raise ExtractorUnavailable(f"The extractor does not start: {self.broken}.")
        coming = sum(worker.state in (State.STARTING, State.SETTLING) for worker in self._workers) + len(self._spawning)
        if coming <= sum(not waiter.done() for waiter in self._waiting):
            raise ExtractorBusy
        waiter: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(READY_WAIT_S):
                return await waiter
        except TimeoutError as error:
            self._give_back(waiter)
            raise ExtractorUnavailable("No extractor worker became ready in time.") from error
        except asyncio.CancelledError:
            self._give_back(waiter)
            raise

    def _give_back(self, waiter: asyncio.Future[Worker]) -> None:
        """Free the worker that was handed over in the moment in which nobody wanted it any more."""
        if not waiter.cancelled() and waiter.done() and waiter.exception() is None:
            worker = waiter.result()
            if worker.state is State.TAKEN:
                worker.state = State.READY
                self.ready(worker)

    def _fail_waiting(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(ExtractorUnavailable(f"The extractor does not start: {self.broken}."))

    def _spawn(self, pause_s: float) -> None:
        task = asyncio.get_running_loop().create_task(self._start_worker(pause_s))
        self._spawning.add(task)
        task.add_done_callback(self._spawning.discard)

    async def _start_worker(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        worker = Worker(self)
        command = (sys.executable, "-B", "-m", "gestures.worker", "--backend", self._backend)
        try:
            await asyncio.get_running_loop().subprocess_exec(lambda: worker, *command, cwd=_ROOT, env=_ENVIRONMENT)
        except OSError as error:
            self.broken = str(error)
            self.buried(worker, State.STARTING)
            return
        if worker.state is not State.DEAD:
            self._workers.add(worker)
