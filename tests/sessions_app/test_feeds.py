"""Frames of one session arrive from any process in any order; members get them in the order of their versions (L4)."""

import random

from hypothesis import given
from hypothesis import strategies as st

from sessions_app.fanout.feeds import Feed, Order
from sessions_app.protocol import Frame, MessageType, Notice


def make_frame(epoch: str, seq: int) -> Frame:
    return Frame(MessageType.STATE_UPDATE, {}, epoch=epoch, seq=seq)


class Ear:
    """A member that remembers what it got."""

    def __init__(self) -> None:
        self.heard: list[Frame] = []

    def deliver(self, frame: Frame) -> None:
        self.heard.append(frame)

    def resync(self) -> None:
        raise AssertionError("nothing is missing")


@given(st.integers(1, 12), st.integers(0, 12), st.randoms(use_true_random=False))
def test_take_shuffled_and_repeated_frames(count: int, known: int, chance: random.Random):
    """DEV-43, L4: whatever the order, and however often each comes, every later version passes once, in order."""
    order = Order()
    frames = [make_frame("e", seq) for seq in range(1, known + count + 1)] * 2
    chance.shuffle(frames)
    cut = chance.randrange(len(frames))

    passed = [frame for frame in frames[:cut] for frame in order.take(frame)]
    passed += order.place("e", known)
    passed += [frame for frame in frames[cut:] for frame in order.take(frame)]

    assert [frame.seq for frame in passed] == list(range(known + 1, known + count + 1))
    assert not order.is_waiting


def test_take_first_frame_of_a_new_epoch():
    """DEV-41: an epoch begins with seq 1, whatever went before."""
    order = Order()
    order.place("old", 7)

    assert [frame.seq for frame in order.take(make_frame("new", 1))] == [1]
    assert order.take(make_frame("new", 2))


def test_take_later_frame_of_an_unknown_epoch():
    """L4: a gap at the start of an epoch waits to be filled."""
    order = Order()
    order.place(None, 0)

    assert order.take(make_frame("e", 2)) == []
    assert order.is_waiting
    assert [frame.seq for frame in order.take(make_frame("e", 1))] == [1, 2]


def test_place_behind_what_has_passed():
    """A reading that is older than the frames since moves nothing back."""
    order = Order()
    order.place("e", 3)
    order.take(make_frame("e", 4))

    assert order.place("e", 3) == []
    assert order.take(make_frame("e", 4)) == []


def test_deliver_other_frames_at_once():
    """DEV-49: presence and broadcasts have no place in the order."""
    feed, ear = Feed("s"), Ear()
    feed.members = (ear,)
    left = Frame(MessageType.DEVICE_LEFT, {})

    feed.deliver(make_frame("e", 2))
    feed.deliver(left)

    assert ear.heard == [left]


def test_notify_listeners():
    """SES-21: who listens hears of the end."""
    feed = Feed("s")
    heard: list = []
    feed.listeners = (heard.append,)

    feed.notify(Notice("session_ended", {}))

    assert heard == [Notice("session_ended", {})]
