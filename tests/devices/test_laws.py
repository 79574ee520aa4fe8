"""L1 to L5 under a random life: devices that write, repeat, drop, return elsewhere; processes that die; Redis emptied.

The model of a device follows DEV-50 alone. What it must never see it asserts itself; at the end all agree.
"""

import asyncio
import json
import random
import uuid
from contextlib import suppress
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from sessions_app import snapshots
from sessions_app.models import StateVersion
from sessions_app.state import canonical
from tests.factories import make_token
from tests.processes import WebProcess

AWAY = (ConnectionClosed, InvalidHandshake, OSError, TimeoutError)


class Replica:
    """One device: what it holds, what it has written, and the frames it has seen."""

    def __init__(self, name, world):
        self.name, self.world, self.chance = name, world, random.Random(f"{world.seed}-{name}")
        self.state, self.seq, self.epoch = {}, 0, None
        self.acked = {}  # op_id to (version, checksum)
        self.sent = 0
        self.answers = {}

    async def live(self):
        """Connect, act, break off, return, until the world ends."""
        while not self.world.over:
            with suppress(*AWAY):
                await self.visit(self.chance.randint(1, 12))

    async def visit(self, acts):
        """One connection: so many writes, then gone without a word."""
        url = self.chance.choice(self.world.urls)
        async with connect(url, max_size=2**21, ping_interval=None, close_timeout=0.2, open_timeout=5) as socket:
            await self.enter(socket)
            reading = asyncio.create_task(self.read(socket))
            try:
                for _ in range(acts):
                    await self.act(socket)
            finally:
                reading.cancel()
                socket.transport.abort()
                self.world.readings.append(reading)

    async def enter(self, socket):
        resume = {"resume": {"epoch": self.epoch, "seq": self.seq}} if self.epoch else {}
        payload = {"token": self.world.token, "device_id": self.name, **resume}
        await socket.send(json.dumps({"type": 7, "payload": payload, "session_id": self.world.session_id}))
        answer = json.loads(await asyncio.wait_for(socket.recv(), 10))
        assert answer["type"] in (8, 9), answer
        if answer["type"] == 9:
            assert answer["payload"]["code"] == 503, answer
            raise TimeoutError
        if not resume:
            await socket.send(json.dumps({"type": 3}))

    async def read(self, socket):
        async for text in socket:
            frame = json.loads(text)
            if frame["type"] == 4:
                self.take_snapshot(frame["payload"])
            elif frame["type"] == 5 and not frame["payload"]["duplicate"]:
                self.take_update(frame["payload"])
            waiting = self.answers.pop(frame.get("correlation_id"), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)

    def take_snapshot(self, payload):
        self.state, self.seq, self.epoch = payload["state_data"], payload["seq"], payload["epoch"]
        assert canonical.document(self.state).checksum == payload["checksum"]

    def take_update(self, payload):
        """L4: within an epoch each frame is the next one, or an old one."""
        if payload["epoch"] != self.epoch and payload["seq"] == 1:
            self.state, self.seq, self.epoch = {}, 0, payload["epoch"]
        if self.epoch is None or payload["seq"] <= self.seq:
            return
        assert (payload["epoch"], payload["seq"]) == (self.epoch, self.seq + 1), "a silent gap"
        self.state.update(payload["changes"])
        for key in payload["deleted_keys"]:
            self.state.pop(key, None)
        self.seq = payload["seq"]
        assert canonical.document(self.state).checksum == payload["checksum"]

    async def act(self, socket):
        """Write something new, or repeat what was written before."""
        repeat = self.sent and self.chance.random() < 0.2
        number = self.chance.randint(1, self.sent) if repeat else self.sent + 1
        self.sent = max(self.sent, number)
        answer = await asyncio.wait_for(self.write(socket, number), 5)
        if answer["type"] == 5:
            self.note(f"{self.name}-{number}", answer["payload"])
        else:
            assert answer["payload"]["code"] in (429, 503), answer
        await asyncio.sleep(self.chance.choice((0, 0, 0.01, 0.05)))

    async def write(self, socket, number):
        """The same number is the same write, whenever it is sent."""
        chance = random.Random(f"{self.world.seed}-{self.name}-{number}")
        key = f"k{chance.randint(0, 5)}"
        payload: dict[str, Any] = {"key": key, "op_id": f"{self.name}-{number}"}
        if chance.random() < 0.25:
            payload["operation"] = "DELETE"
        else:
            payload["value"] = [self.name, number, chance.random()]
        waiting = self.answers[payload["op_id"]] = asyncio.get_running_loop().create_future()
        await socket.send(json.dumps({"type": 5, "payload": payload, "correlation_id": payload["op_id"]}))
        return await waiting

    def note(self, op_id, payload):
        """L2: however often it is sent, an op_id gets one version."""
        made = (payload["version"], payload["checksum"])
        assert self.acked.setdefault(op_id, made) == made

    async def settle(self):
        """Connect once more and take what is missing."""
        async with connect(self.world.urls[0], max_size=2**21, ping_interval=None) as socket:
            await self.enter(socket)
            reading = asyncio.create_task(self.read(socket))
            while self.seq < self.world.last_version:
                await asyncio.sleep(0.02)
            reading.cancel()
            self.world.readings.append(reading)


class World:
    """The session all devices share."""

    def __init__(self, seed, urls):
        self.seed, self.urls, self.over = seed, urls, False
        self.session_id, self.token = str(uuid.uuid4()), make_token(f"u-{seed}")
        self.replicas = [Replica(f"d{number}", self) for number in range(8)]
        self.last_version = 0
        self.readings = []  # where a broken law shows itself

    async def run(self, seconds, *trouble):
        """Let everybody live for a while, in trouble; then let them settle."""
        lives = [asyncio.create_task(replica.live()) for replica in self.replicas]
        troubles = [asyncio.create_task(one()) for one in trouble]
        await asyncio.wait(lives, timeout=seconds)
        self.over = True
        await asyncio.gather(*troubles)
        await asyncio.wait_for(asyncio.gather(*lives), 30)
        self.last_version = (await asyncio.to_thread(self.stored)).version
        await asyncio.wait_for(asyncio.gather(*(replica.settle() for replica in self.replicas)), 60)
        for found in await asyncio.gather(*self.readings, return_exceptions=True):
            if isinstance(found, AssertionError):
                raise found

    def stored(self):
        """The state as the server holds it."""
        state = snapshots.held(self.session_id)
        assert state is not None
        return state

    def check(self):
        """L1, L2, L3, L5."""
        state = self.stored()
        log = StateVersion.objects.filter(session_id=self.session_id)
        versions = dict(log.values_list("op_id", "version"))

        assert sorted(versions.values()) == list(range(1, state.version + 1))
        assert len(versions) == log.count()
        for replica in self.replicas:
            assert canonical.document(replica.state).checksum == state.checksum
            for op_id, (version, _) in replica.acked.items():
                assert versions[op_id] == version


def urls(processes):
    return [f"{process.url.replace('http', 'ws')}/ws" for process in processes]


@pytest.mark.parametrize("seed", [1, 2])
def test_random_life(pair, memory, seed):
    """Cuts, repetitions and returns to another process, with Redis emptied in the middle."""
    world = World(seed, urls(pair))

    async def forget_everything():
        await asyncio.sleep(2)
        memory.client.flushall()

    asyncio.run(world.run(4, forget_everything))

    world.check()
    assert sum(len(replica.acked) for replica in world.replicas) > 50


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10, 16))
def test_random_life_with_dying_processes(rows, pair_env, memory, seed):
    """L3: each acknowledged version outlives the killing of every process."""
    with WebProcess(**pair_env) as one, WebProcess(**pair_env) as two:
        world = World(seed, urls([one, two]))

        async def kill_in_turn():
            while not world.over:
                for process in (one, two):
                    await asyncio.sleep(random.Random(seed).uniform(2, 4))
                    await asyncio.to_thread(process.kill)
                    await asyncio.to_thread(process.start)
                    memory.client.flushall()

        asyncio.run(world.run(25, kill_in_turn))
        world.check()
        assert all(replica.acked for replica in world.replicas)
