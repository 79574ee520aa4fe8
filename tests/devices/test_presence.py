"""Presence is a lease that ages; only its holder may renew or end it (DEV-27 to DEV-34)."""

import datetime as dt
import secrets

import pytest
import time_machine

from devices import leases, presence
from devices.errors import TooManyConnections
from devices.leases import Holder
from devices.presence import Entering
from sessions_app import broadcast, ids, redisdoor

START = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
SAYS = {"user_id": "u1", "connected_at": "2026-03-02T09:00:00.000Z", "device_type": "phone"}


@pytest.fixture
def told(monkeypatch):
    """What sessions are told: type names, and the reason of a leave."""
    heard = []

    def to_session(session_id, frame):
        heard.append((frame.type.name, frame.payload.get("reason")))

    monkeypatch.setattr(broadcast, "to_session", to_session)

    def notify_session(session_id, notice):
        heard.append((notice.kind, notice.data["connection_id"]))

    monkeypatch.setattr(broadcast, "notify_session", notify_session)
    return heard


@pytest.fixture
def clock():
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def holder():
    """A connection of `phone` in a session of its own; call it for another connection of the same device."""
    session_id = ids.new_session_id()
    return lambda device="phone", user="u1": Holder(session_id, user, device, secrets.token_hex(8))


def join(*holders):
    """All at once. Raises the first refusal."""
    for refusal in presence.join([Entering(one, SAYS, None) for one in holders]):
        if refusal:
            raise refusal


def online(one):
    return [info["device_id"] for info in presence.online(one.session_id)]


def test_join_announces_a_new_device(told, clock, holder):
    """DEV-29, DEV-34."""
    one = holder()
    join(one)
    info = presence.online(one.session_id)[0]

    assert told == [("DEVICE_JOINED", None)]
    assert (info["connection_id"], info["is_online"], info["os_version"]) == (one.connection_id, True, None)


def test_join_takes_the_lease_over(told, clock, holder):
    """DEV-32: the older connection is fenced; its late farewell changes nothing."""
    old, new = holder(), holder()
    join(old)
    join(new)
    presence.leave(old, "closed", since=SAYS["connected_at"])

    assert told == [("DEVICE_JOINED", None), ("fenced", old.connection_id)]
    assert presence.online(new.session_id)[0]["connection_id"] == new.connection_id


def test_leave_at_once(told, clock, holder):
    """DEV-30: once, with its reason."""
    one = holder()
    join(one)
    presence.leave(one, "closed", since=SAYS["connected_at"])
    presence.leave(one, "closed", since=SAYS["connected_at"])

    assert told[1:] == [("DEVICE_LEFT", "closed")]
    assert online(one) == []


def test_lost_device_has_a_grace(told, clock, holder):
    """DEV-30, DEV-31: it counts as online for 15 s, then it leaves, once."""
    one = holder()
    join(one)
    presence.leave(one, "lost", since=SAYS["connected_at"])
    clock.shift(14.9)
    presence.end_if_over(one.session_id, "phone")
    assert (told[1:], online(one)) == ([], ["phone"])

    clock.shift(0.1)
    presence.end_if_over(one.session_id, "phone")
    presence.sweep()
    assert (told[1:], online(one)) == ([("DEVICE_LEFT", "lost")], [])


def test_return_within_the_grace(told, clock, holder):
    """DEV-31: neither LEFT nor JOINED."""
    join(one := holder())
    presence.leave(one, "lost", since=SAYS["connected_at"])
    clock.shift(10)
    join(holder())
    clock.shift(10)
    presence.end_if_over(one.session_id, "phone")

    assert [kind for kind, _ in told] == ["DEVICE_JOINED", "fenced"]
    assert online(one) == ["phone"]


def test_return_of_a_device_that_was_not_swept_yet(told, clock, holder):
    """DEV-28, DEV-29: its leave is announced before it joins again."""
    join(one := holder())
    clock.shift(121)
    join(holder())

    assert told[1:] == [("DEVICE_LEFT", "timeout"), ("DEVICE_JOINED", None)]
    assert online(one) == ["phone"]


def test_sweep_announces_the_dead_once(told, clock, holder):
    """DEV-28, L7: a device whose process died."""
    join(one := holder())
    clock.shift(119)
    presence.sweep()
    assert online(one) == ["phone"]

    clock.shift(2)
    presence.sweep()
    presence.sweep()
    assert (told[1:], online(one)) == ([("DEVICE_LEFT", "timeout")], [])


def test_renewal_counts_from_the_last_sign(told, clock, holder):
    """L7: what ages is the last sign of life, not the renewal."""
    join(one := holder())
    clock.shift(5)
    leases.renew([(one, SAYS, START.timestamp() + 1)], ttl_s=120)
    clock.shift(116)
    presence.sweep()

    assert told[1:] == [("DEVICE_LEFT", "timeout")]


def test_renewal_by_another_than_the_holder(told, clock, holder):
    """DEV-32: it learns that it has lost the lease."""
    old, new = holder(), holder()
    join(old)
    join(new)

    assert leases.renew([(old, SAYS, START.timestamp())], ttl_s=120) == ([old.connection_id], [])


def test_renewal_after_redis_lost_everything(told, clock, holder):
    """DEV-33: leases are made anew, and the generation tells that they had to be."""
    join(one := holder())
    before = leases.generation()
    redisdoor.call("flushdb")

    assert leases.generation() != before
    assert leases.renew([(one, SAYS, START.timestamp())], ttl_s=120) == ([], [one.connection_id])
    assert online(one) == ["phone"]


def test_too_many_connections(told, clock, holder, settings):
    """DEV-6: the one over the limit is refused; the return of a known device is not."""
    settings.WS_MAX_CONNECTIONS_PER_USER = 2
    join(holder("a", "full"))
    join(holder("b", "full"))
    join(holder("a", "full"))

    with pytest.raises(TooManyConnections):
        join(holder("c", "full"))


def test_without_redis(told, clock, holder, settings):
    """STA-66: what is seen here is told here, and settled when Redis is back."""
    join(one := holder())
    url, settings.REDIS_URL = settings.REDIS_URL, "redis://127.0.0.1:9/0"
    presence.leave(one, "closed", since=SAYS["connected_at"])
    assert presence.online(one.session_id) == []
    settings.REDIS_URL = url
    presence.sweep()

    assert told[1:] == [("DEVICE_LEFT", "closed")]
    assert online(one) == []
