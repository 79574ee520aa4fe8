"""The process's connections to Redis outlive quiet times: a pong is an answer, not the end (DEV-43)."""

import asyncio

from sessions_app.fanout import bus
from sessions_app.fanout.bus import Bus


async def until(condition):
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to that")


def test_a_quiet_subscriber_is_asked_and_goes_on_hearing(monkeypatch):
    """Redis answers PING on a subscribed connection with two elements, a message has three."""
    monkeypatch.setattr(bus, "_PING_S", 0.05)

    async def main():
        heard: list[tuple[str, bytes]] = []
        one = Bus(
            receive=lambda channel, body: heard.append((channel, body)), missed=lambda: None, lost=lambda channels: None
        )
        one.subscribe("quiet")
        one.start()
        await until(lambda: one._subscriber is not None)
        first = one._subscriber
        await asyncio.sleep(0.4)  # several pings
        assert one._subscriber is first
        one.publish("quiet", b"still here")
        await until(lambda: heard)
        assert heard == [("quiet", b"still here")]
        await one.stop()

    asyncio.run(main())
