"""The bounded outbox of one socket (DEV-51)."""

import asyncio

import pytest

from sessions_app.sockets import outbox
from sessions_app.sockets.outbox import Outbox


class Server:
    """What stands behind an outbox: takes messages while it is open, and can go."""

    def __init__(self):
        self.taken, self.gone = [], False
        self.open = asyncio.Event()
        self.told = []
        self.unsent_bytes = 1000

    async def send(self, message):
        await self.open.wait()
        if self.gone:
            raise OSError("gone")
        self.taken.append(message.get("text", message.get("code")))

    def unsent(self):
        return self.unsent_bytes

    def drained(self):
        self.told.append("drained")

    def stalled(self):
        self.told.append("stalled")


@pytest.fixture
def stage():
    """Runs a story on a loop, with a server that takes nothing yet and its outbox."""

    def run(story):
        async def play():
            server = Server()
            await story(server, Outbox(server.send, server))

        asyncio.run(play())

    return run


def test_put_into_an_open_socket(stage):
    """What the socket takes at once needs no queue and no task."""

    async def story(server, box):
        server.open.set()
        assert box.put("text", "a")
        assert (server.taken, box.is_idle, len(asyncio.all_tasks())) == (["a"], True, 1)

    stage(story)


def test_put_into_a_full_socket(stage):
    """In order, as soon as there is room; then the owner is told."""

    async def story(server, box):
        assert all(box.put("text", text) for text in "abc")
        await asyncio.sleep(0)
        assert server.taken == []
        server.open.set()
        await asyncio.sleep(0.01)
        assert (server.taken, server.told, box.is_idle) == (["a", "b", "c"], ["drained"], True)

    stage(story)


@pytest.mark.parametrize(("count", "size"), [(outbox.MAX_FRAMES + 1, 1), (9, outbox.MAX_BYTES // 8)])
def test_state_gives_way(stage, count, size):
    """A full outbox drops the state frames that wait, and those after them until a snapshot is sent; the rest stays."""

    async def story(server, box):
        box.put("text", "first")
        box.put("text", "kept")
        assert all(box.put("text", "s" * size, is_state=True) for _ in range(count))
        assert box.is_behind
        box.put("text", "later")
        server.open.set()
        await asyncio.sleep(0.01)
        assert server.taken == ["first", "kept", "later"]

    stage(story)


@pytest.mark.parametrize(("count", "size"), [(outbox.MAX_FRAMES + 1, 1), (9, outbox.MAX_BYTES // 8)])
def test_other_frames_overflow(stage, count, size):
    """They must not be dropped: the owner has to close."""

    async def story(server, box):
        box.put("text", "first")
        assert [box.put("text", "x" * size) for _ in range(count)].count(False) == 1

    stage(story)


def test_socket_that_takes_nothing(stage, monkeypatch):
    """The owner is told, and what is closed then goes out instead of what waited."""
    monkeypatch.setattr(outbox, "STALLED_S", 0.02)

    async def story(server, box):
        box.put("text", "a")
        box.put("text", "b")
        await asyncio.sleep(0.05)
        assert server.told == ["stalled"]
        server.open.set()
        box.give_up(4430)
        await asyncio.sleep(0.01)
        assert (server.taken, box.is_closing) == ([4430], True)

    stage(story)


def test_socket_that_takes_little(stage, monkeypatch):
    """DEV-51: a slow client is no stuck one."""
    monkeypatch.setattr(outbox, "STALLED_S", 0.02)

    async def story(server, box):
        box.put("text", "a")
        box.put("text", "b")
        for _ in range(10):
            await asyncio.sleep(0.01)
            server.unsent_bytes -= 1
        assert server.told == []
        server.open.set()
        await asyncio.sleep(0.01)
        assert (server.taken, server.told) == (["a", "b"], ["drained"])

    stage(story)


def test_given_up_while_it_waits(stage):
    """Nothing of what waited goes out behind the close."""

    async def story(server, box):
        box.put("text", "a")
        box.put("text", "b")
        await asyncio.sleep(0.01)
        box.give_up(4412)
        server.open.set()
        await asyncio.sleep(0.01)
        assert server.taken == [4412]

    stage(story)


def test_close_comes_last(stage):
    """After what waits; nothing after it."""

    async def story(server, box):
        box.put("text", "a")
        box.close(4401)
        box.put("text", "too late")
        box.close(1000)
        server.open.set()
        await asyncio.sleep(0.01)
        assert server.taken == ["a", 4401]

    stage(story)


@pytest.mark.parametrize("at_once", [True, False])
def test_client_has_gone(stage, at_once):
    """No error reaches whoever delivers."""

    async def story(server, box):
        server.gone = True
        if at_once:
            server.open.set()
        box.put("text", "a")
        server.open.set()
        await asyncio.sleep(0.01)
        assert box.is_closing
        assert box.put("text", "b")

    stage(story)
