"""A pod as a subprocess of this worker (POD-49 to POD-52)."""

import asyncio
import secrets
import time

import structlog

from routing.models import Pod
from routing.pod import podcalls, processes, tending
from routing.pod.backend import Pulse, Rise, is_over
from routing.pod.hands import Hands
from routing.pod.podcalls import Address
from routing.pod.processes import Process

RESTART_S = (1.0, 2.0, 4.0, 8.0)  # POD-51
MOST_STARTS = 5
READY_EVERY_S = 2.0
NOT_READY_S = 10.0  # POD-32: then the pod counts as lost
MOST_LINE_CHARACTERS = 1000

log = structlog.get_logger(__name__)


class LocalBackend:
    """One session's process, started again when it fails to come up."""

    def __init__(self, hands: Hands, pod: Pod) -> None:
        self._hands, self._pod_id = hands, pod.pk
        self._session_id, self._user_id = pod.session_id, pod.session.user_id
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._failed_starts, self._not_before = 0, 0.0
        self._asked_at = self._well_at = 0.0
        self._output: list[str] = []

    @property
    def address(self) -> Address:
        """127.0.0.1 on the process's own port."""
        port, token = (self._process.port, self._process.token) if self._process else (0, "")
        return Address(f"http://127.0.0.1:{port}", self._session_id, self._user_id, token)

    @property
    def output(self) -> str:
        """Of the process that runs or ran last."""
        return "\n".join(self._process.output if self._process else self._output)

    async def rise(self, pod: Pod) -> Rise:
        """Start the process, ask whether it is ready, start another when it ends before that."""
        if pod.backend_since is None:  # nothing runs it yet; a process here is one that was given up
            await self.let_go()
            await self._hands(tending.asked, self._pod_id)
        elif is_over(pod.backend_since):
            return Rise.START_TIMEOUT
        if self._process is None:
            return await self._start() if time.monotonic() >= self._not_before else Rise.RISING
        if await podcalls.is_ready(self.address):
            self._failed_starts, self._asked_at = 0, time.monotonic()
            self._well_at = self._asked_at
            return Rise.READY
        return await self._start_failed() if self._process.has_exited else Rise.RISING

    async def pulse(self) -> Pulse:
        """Lost when the process has ended, or has not been ready for too long."""
        if self._process is None or self._process.has_exited:
            return Pulse.LOST
        now = time.monotonic()
        if now - self._asked_at >= READY_EVERY_S:
            if await podcalls.is_ready(self.address):
                self._well_at = now
            elif self._asked_at - self._well_at >= NOT_READY_S:
                return Pulse.LOST
            self._asked_at = now
        return Pulse.WELL

    async def lie_down(self, pod: Pod) -> bool:
        """Stop the process, if there is one."""
        await self.let_go()
        return True

    async def let_go(self) -> None:
        """Stop the process: none outlives its worker."""
        if self._process is not None:
            await processes.stop(self._process)
            await self._gone()

    async def _start(self) -> Rise:
        try:
            self._process = await processes.start(self._session_id, self._user_id, token=secrets.token_urlsafe(32))
        except OSError as error:
            self._output = [f"could not be started: {error}"]
            return await self._start_failed()
        self._reader = asyncio.create_task(_read(self._process, self._session_id))
        await self._hands(
            tending.started,
            self._pod_id,
            pid=self._process.pid,
            pid_start=self._process.start,
            port=self._process.port,
        )
        return Rise.RISING

    async def _start_failed(self) -> Rise:
        await self._gone()
        self._failed_starts += 1
        if self._failed_starts >= MOST_STARTS:
            self._failed_starts = 0
            return Rise.START_FAILED
        self._not_before = time.monotonic() + RESTART_S[self._failed_starts - 1]
        return Rise.RISING

    async def _gone(self) -> None:
        """Forget a process that has ended, its last words excepted."""
        if self._process is None:
            return
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=1.0)  # a grandchild may hold the pipe open
            self._reader.cancel()
        self._output = list(self._process.output)
        self._process = self._reader = None


async def _read(process: Process, session_id: str) -> None:
    """Carry the process's output to the log, and keep its last lines (POD-49)."""
    stream, rest = process.child.stdout, ""
    while stream is not None and (part := await stream.read(4096)):
        *lines, rest = (rest + part.decode("utf-8", "replace")).split("\n")
        rest = rest[-MOST_LINE_CHARACTERS:]
        for line in lines:
            process.output.append(line[:MOST_LINE_CHARACTERS])
            log.info("pod.output", session_id=session_id, line=line[:MOST_LINE_CHARACTERS])
