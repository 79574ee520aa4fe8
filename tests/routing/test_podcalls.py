"""routing/pod/podcalls.py: a connection opened ahead of its message changes nothing of what an attempt is (POD-33)."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from routing.pod import podcalls
from routing.pod.chatstore import Claimed
from routing.pod.outcomes import Answered, NotHanded, Outcome
from sessions_app import clock

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"reply":"a"}'

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Pod:
    """Answers every call; counts the connections, open and ever, and the calls."""

    def __init__(self) -> None:
        self.opened = self.open = self.calls = 0
        self.hangs_up_first = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.open += 1
        if not (self.hangs_up_first and self.opened == 1) and await reader.read(65_536):
            self.calls += 1
            writer.write(ANSWER)
            await writer.drain()
        writer.close()
        self.open -= 1


@asynccontextmanager
async def serving(pod: Pod) -> AsyncIterator[podcalls.Address]:
    server = await asyncio.start_server(pod.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield podcalls.Address(f"http://127.0.0.1:{port}", "sess_0123456789abcdef", "u1")


def message() -> Claimed:
    return Claimed(uuid.uuid4(), 1, 1, "Hello", 1, "", clock.now())


async def soon(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def test_a_line_opened_ahead_carries_the_call() -> None:
    async def run(pod: Pod) -> Outcome:
        async with serving(pod) as address:
            line = podcalls.Line(address)
            await soon(lambda: pod.open == 1)
            return await podcalls.send(address, message(), line)

    pod = Pod()
    assert isinstance(asyncio.run(run(pod)), Answered)
    assert (pod.opened, pod.calls) == (1, 1)


def test_a_line_that_the_pod_has_closed_is_no_attempt() -> None:
    async def run(pod: Pod) -> Outcome:
        async with serving(pod) as address:
            line = podcalls.Line(address)
            await soon(lambda: (pod.opened, pod.open) == (1, 0))
            await asyncio.sleep(0.05)
            return await podcalls.send(address, message(), line)

    pod = Pod()
    pod.hangs_up_first = True
    assert isinstance(asyncio.run(run(pod)), Answered)
    assert (pod.opened, pod.calls) == (2, 1)


def test_nobody_there_is_no_attempt() -> None:
    async def run() -> Outcome:
        async with serving(Pod()) as address:
            pass
        return await podcalls.send(address, message(), podcalls.Line(address))

    assert isinstance(asyncio.run(run()), NotHanded)


def test_a_line_that_is_not_needed_is_closed() -> None:
    async def run(pod: Pod) -> None:
        async with serving(pod) as address:
            line = podcalls.Line(address)
            await soon(lambda: pod.open == 1)
            line.close()
            await soon(lambda: pod.open == 0)
            podcalls.Line(address).close()  # before it is open
            await asyncio.sleep(0.05)

    pod = Pod()
    asyncio.run(run(pod))
    assert (pod.open, pod.calls) == (0, 0)
