"""The server's WebSocket protocol: pings by the wheel, a handshake that is forgotten (DEV-5)."""

import asyncio

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from config.websocket import Inbox, SocketProtocol
from sessions_app.sockets import wheel

REQUEST = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
NO_MASK = b"\0\0\0\0"


class ByHand:
    """A wheel that turns when the test says so."""

    def __init__(self):
        self.watched = {}

    def watch(self, one, at):
        self.watched[one] = at

    def forget(self, one):
        self.watched.pop(one, None)

    def turn(self):
        [(one, at)] = self.watched.items()
        self.watched.clear()
        one.check(at)


async def until_it_ends(scope, receive, send):
    """An application that says nothing."""
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def refusing(scope, receive, send):
    """An application that lets nobody in."""
    await receive()
    await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b"no"})


@pytest.fixture
def talk(monkeypatch):
    """Runs a story with a socket whose handshake is over: the wheel, and the client's two ends."""

    def run(story, application=until_it_ends):
        async def play():
            hand = ByHand()
            monkeypatch.setattr(wheel, "here", lambda: hand)
            config = Config(application, ws_ping_interval=30, ws_ping_timeout=None, log_config=None)
            config.load()
            loop = asyncio.get_running_loop()
            server = await loop.create_server(lambda: SocketProtocol(config, ServerState(), {}), "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\n")
            await story(hand, reader, writer)
            writer.close()
            await writer.wait_closed()
            server.close()

        asyncio.run(play())

    return run


async def ping(reader):
    """The payload of a ping that has come."""
    assert await reader.readexactly(2) == b"\x89\x04"
    return await reader.readexactly(4)


def test_ping_answered(talk):
    """DEV-5: the next one comes an interval later."""
    pings = []

    async def story(hand, reader, writer):
        for _ in range(2):
            hand.turn()
            pings.append(await ping(reader))
            writer.write(b"\x8a\x84" + NO_MASK + pings[-1])
            while next(iter(hand.watched)).pending_ping_payload:
                await asyncio.sleep(0)

    talk(story)
    assert len(set(pings)) == 2


def test_ping_not_answered(talk):
    """DEV-5: closed 1011 an interval later."""

    async def story(hand, reader, writer):
        hand.turn()
        await ping(reader)
        hand.turn()

        assert (await reader.read())[2:4] == (1011).to_bytes(2, "big")
        assert hand.watched == {}

    talk(story)


def test_handshake_is_forgotten(talk):
    """An idle socket keeps nothing of it."""

    async def story(hand, reader, writer):
        [one] = hand.watched
        assert (one.scope, len(one.request.headers), len(one.response.headers)) == ({}, 0, 0)

    talk(story)


def test_inbox():
    """Events come in order; a reader that waits is woken."""

    async def story():
        inbox = Inbox()
        reading = asyncio.create_task(inbox.get())
        await asyncio.sleep(0)
        for event in "abc":
            inbox.put_nowait(event)
        assert [await reading, await inbox.get(), await inbox.get(), inbox.empty()] == ["a", "b", "c", True]

    asyncio.run(story())


def test_a_refused_handshake_is_no_error(talk, caplog):
    """OPS-51: who is refused is told so, and nobody else."""

    async def story(hand, reader, writer):
        assert await reader.read() == b"no"

    talk(story, refusing)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
