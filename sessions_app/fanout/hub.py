"""What one web process knows of its sockets: who listens to which session, and the bus that joins it to the others.

Everything here runs on the process's event loop, and other threads come in by `hand_over`. broadcast.py is the door for
everybody else.
"""

import asyncio
import functools
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol
from urllib.parse import urlsplit

import orjson
import structlog
from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver

from sessions_app.fanout.bus import Bus
from sessions_app.fanout.feeds import Feed, Listener, Member
from sessions_app.protocol import Frame, MessageType, Notice

PROCESS_ID = secrets.token_hex(8)

# Audiences: who an item is for. Only sessions have a channel of their own; the others every process hears.
ALL, ADMIN, PROCESSES = "all", "admin", "processes"

COUNTED = "baton:count:"  # a sender of this kind is the Redis list it wants the numbers of connections in
LOOK_AGAIN = "look_again"  # the notice that frames of a session were lost on their way to Redis

Item = Frame | Notice

log = structlog.get_logger(__name__)


class Connected(Member, Protocol):
    """An authenticated socket."""

    user_id: str

    @property
    def is_admin(self) -> bool:
        """Whether it is on the admin channel."""


class Hub:
    """The sockets of this process."""

    def __init__(self) -> None:
        """Belongs to the running loop."""
        self.loop = asyncio.get_running_loop()
        self.connections: set[Connected] = set()
        self.admins: set[Connected] = set()  # those of them on the admin channel: every socket's coming is told there
        self.feeds: dict[str, Feed] = {}
        self.noticed: list[Callable[[Notice], None]] = []  # who acts on notices
        self.expect: Callable[[Feed], None] = lambda feed: None  # a frame waits for others (gaps.py)
        self.look: Callable[[list[Feed]], None] = lambda feeds: None  # frames may be missing (gaps.py)
        self.bus = Bus(receive=self._received, missed=self._missed, lost=self._lost)
        self._thread = threading.get_ident()
        self._inbox: deque[tuple[str, Item]] = deque()
        self._emptying = False

    def start(self) -> None:
        """Join the other processes."""
        self.bus.subscribe(channel(PROCESSES))
        self.bus.start()

    async def stop(self) -> None:
        """Leave them."""
        await self.bus.stop()

    def feed(self, session_id: str) -> Feed:
        """The feed of a session, subscribed to on first use."""
        feed = self.feeds.get(session_id)
        if feed is None:
            feed = self.feeds[session_id] = Feed(session_id)
            self.bus.subscribe(channel(session(session_id)))
        return feed

    def enter(self, one: Connected) -> None:
        """What goes to users and admins reaches it from now on."""
        self.connections.add(one)
        if one.is_admin:
            self.admins.add(one)

    def leave(self, one: Connected) -> None:
        """It hears nothing more."""
        self.connections.discard(one)
        self.admins.discard(one)

    def listen(self, session_id: str, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each notice about the session until the returned function is called."""
        feed = self.feed(session_id)
        feed.listeners += (listener,)

        def unsubscribe() -> None:
            feed.listeners = tuple(other for other in feed.listeners if other is not listener)
            self.release(feed)

        return unsubscribe

    def release(self, feed: Feed) -> None:
        """Drop a feed nobody here wants any more."""
        if feed.is_idle and self.feeds.get(feed.session_id) is feed:
            del self.feeds[feed.session_id]
            self.bus.unsubscribe(channel(session(feed.session_id)))

    def hand_over(self, items: Sequence[tuple[str, Item]]) -> None:
        """Deliver here and publish to the others, each to its audience; from any thread, in the order of the calls."""
        if threading.get_ident() == self._thread:
            for audience, item in items:
                self._take(audience, item)
            return
        self._inbox.extend(items)
        if not self._emptying:
            self._emptying = True
            self.loop.call_soon_threadsafe(self._empty_inbox)

    def deliver(self, audience: str, item: Item) -> int:
        """Give an item to those in this process whom it is for; how many connections that are."""
        kind, _, name = audience.partition(":")
        if kind == "session":
            feed = self.feeds.get(name)
            if feed is not None:
                self._deliver_to_feed(feed, item)
            return len(feed.members) if feed else 0
        if isinstance(item, Notice):
            for acts in self.noticed:
                acts(item)
            return 0
        chosen = list(self._audience(kind, name))
        for connection in chosen:
            connection.deliver(item)
        return len(chosen)

    def _deliver_to_feed(self, feed: Feed, item: Item) -> None:
        if isinstance(item, Frame):
            feed.deliver(item)
            if feed.order.is_waiting and feed.order.is_known:
                self.expect(feed)
            return
        if item.kind == LOOK_AGAIN:
            self.look([feed])
            return
        feed.notify(item)
        for acts in self.noticed:
            acts(item)

    def _audience(self, kind: str, name: str) -> Iterator[Connected]:
        if kind == ADMIN:
            yield from self.admins
            return
        for connection in self.connections - self.admins:
            if kind == ALL or (kind == "user" and connection.user_id == name):
                yield connection

    def _take(self, audience: str, item: Item) -> None:
        self.deliver(audience, item)
        self.bus.publish(channel(audience), encode(audience, item))

    def _empty_inbox(self) -> None:
        self._emptying = False
        while self._inbox:
            self._take(*self._inbox.popleft())

    def _received(self, channel: str, body: bytes) -> None:
        try:
            sender, audience, item = decode(body)
        except (ValueError, TypeError, KeyError) as error:
            log.warning("hub.message_refused", channel=channel, error=str(error))
            return
        if sender == PROCESS_ID:
            return
        count = self.deliver(audience, item)
        if sender.startswith(COUNTED):
            self.bus.send("RPUSH", sender, count)
            self.bus.send("EXPIRE", sender, 60)

    def _missed(self) -> None:
        self.look(list(self.feeds.values()))

    def _lost(self, channels: set[str]) -> None:
        """Frames could not be published: whoever serves the sessions shall look them up."""
        for name in channels:
            audience = name.split(":", 2)[2]
            if audience.startswith("session:"):
                self.bus.publish(name, encode(audience, Notice(LOOK_AGAIN, {})))


def session(session_id: str) -> str:
    """The audience of a session."""
    return f"session:{session_id}"


def user(user_id: str) -> str:
    """The audience of a user."""
    return f"user:{user_id}"


def channel(audience: str) -> str:
    """The Redis channel for an audience. Pub/sub knows no database numbers, so the name carries ours."""
    return _prefix() + (audience if audience.startswith("session:") else PROCESSES)


@functools.cache
def _prefix() -> str:
    return f"baton:{urlsplit(settings.REDIS_URL).path.strip('/') or '0'}:"


@receiver(setting_changed)
def _forget_prefix(*, setting: str, **_: object) -> None:
    if setting == "REDIS_URL":
        _prefix.cache_clear()


def encode(audience: str, item: Item, *, sender: str = PROCESS_ID) -> bytes:
    """An item as it travels: a JSON line that says what it is, then its JSON text as it stands."""
    if isinstance(item, Notice):
        return orjson.dumps([sender, audience, item.kind]) + b"\n" + orjson.dumps(item.data)
    head = [sender, audience, int(item.type), item.epoch, item.seq, item.origin, item.recipient]
    return orjson.dumps(head) + b"\n" + item.json.encode()


def decode(body: bytes) -> tuple[str, str, Item]:
    """Sender, audience and item. Raises ValueError, TypeError."""
    line, _, text = body.partition(b"\n")
    sender, audience, kind, *place = orjson.loads(line)
    if isinstance(kind, str):
        return sender, audience, Notice(kind, orjson.loads(text))
    epoch, seq, origin, recipient = place
    frame = Frame(MessageType(kind), json=text.decode(), epoch=epoch, seq=seq, origin=origin, recipient=recipient)
    return sender, audience, frame
