"""Two web processes on one Redis, which die and come back (STA-66, DEV-25 to DEV-33, L1 to L7)."""

import signal
import time
import uuid

import httpx
import pytest

from sessions_app.access import logins
from tests.factories import make_token
from tests.processes import WebProcess

HEARTBEAT, SNAPSHOT, UPDATE, LEFT, LIST = 1, 4, 5, 11, 12


@pytest.fixture(scope="module")
def web(pair):
    return pair[0]


@pytest.fixture(scope="module")
def other(pair):
    """The second web process."""
    return pair[1]


def updates(one, count):
    """The next so many STATE_UPDATE frames."""
    return [one.next_of(UPDATE, 15)["payload"] for _ in range(count)]


def test_frames_cross(device, other):
    """DEV-29, DEV-43, DEV-52: presence and state of one session in two processes."""
    phone, tablet = device("phone"), device("tablet", url=other.url)
    assert phone.next_of(10)["payload"]["device"]["device_id"] == "tablet"

    ack = phone.set("a", 1)["payload"]
    back = tablet.set("b", 2)["payload"]

    assert (updates(tablet, 1), updates(phone, 1)) == ([ack], [back])
    assert [one["device_id"] for one in tablet.call(LIST)["payload"]["devices"]] == ["phone", "tablet"]


def test_writes_from_both_sides(device, other):
    """L1, L4, L5: every device sees each version once, in order, whoever wrote it where."""
    phone, tablet, watch = device("phone"), device("tablet", url=other.url), device("watch", url=other.url)
    for number in range(30):
        phone.send(UPDATE, {"key": "p", "value": number})
        tablet.send(UPDATE, {"key": "t", "value": number})

    seen = [updates(one, 60) for one in (phone, tablet, watch)]

    assert [payload["seq"] for payload in seen[0]] == list(range(1, 61))
    assert seen[0] == seen[1] == seen[2]


def test_newer_connection_elsewhere(device, other):
    """DEV-32: the older socket closes 4409, and nobody is told of a leave or a join."""
    watcher, old = device("watcher"), device("phone")
    watcher.next_of(10)
    new = device("phone", url=other.url)

    assert old.close_code() == 4409
    assert watcher.quiet() == []
    assert new.call(LIST)["payload"]["count"] == 2


def test_delete_and_revoke_reach_the_other_process(web, device, visitor, other, user):
    """DEV-25, DEV-54."""
    device("phone")
    tablet = device("tablet", url=other.url)
    pair = logins.begin(user)
    watch = visitor(other.url)
    watch.auth(pair["access_token"], "watch")
    owner = f"Bearer {make_token(user)}"
    httpx.delete(f"{web.url}/session/{tablet.session_id}/device/tablet", headers={"Authorization": owner})
    web.post("/auth/revoke", {}, Authorization=f"Bearer {pair['access_token']}")

    assert (tablet.close_code(), watch.close_code()) == (4410, 4412)


def test_redis_dies_and_returns(device, other, memory):
    """STA-66, DEV-33: acks go on; what was missed comes when Redis is back, in order; presence is rebuilt."""
    phone, tablet = device("phone"), device("tablet", url=other.url)
    phone.set("n", 0)
    memory.kill()
    acks = [phone.set("n", number)["payload"]["seq"] for number in range(1, 4)]
    assert phone.call(LIST)["payload"]["devices"][0]["device_id"] == "phone"
    memory.start()

    assert acks == [2, 3, 4]
    assert [payload["seq"] for payload in updates(tablet, 4)] == [1, 2, 3, 4]
    until = time.monotonic() + 30
    while phone.call(LIST)["payload"]["count"] != 2 and time.monotonic() < until:
        time.sleep(0.2)
    assert phone.call(LIST)["payload"]["count"] == 2
    assert [frame["type"] for frame in tablet.quiet()] == []


@pytest.mark.soak
def test_redis_forgets_everything(device, other, memory):
    """DEV-33: FLUSHALL in mid-flight; nobody joins or leaves, and writes go on."""
    phone, tablet = device("phone"), device("tablet", url=other.url)
    phone.next_of(10)
    memory.client.flushall()
    phone.set("a", 1)
    updates(tablet, 1)
    until = time.monotonic() + 30
    while phone.call(LIST)["payload"]["count"] != 2 and time.monotonic() < until:
        time.sleep(0.2)

    assert phone.call(LIST)["payload"]["count"] == 2
    assert phone.quiet() == tablet.quiet() == []


def test_process_dies_between_commit_and_telling(device, pair_env, other, user):
    """L3, L4: the version stands, and a client that asks learns of it."""
    with WebProcess(**pair_env, BATON_FAULT="state.before_tell") as dying:
        tablet, phone = device("tablet", url=other.url), device("phone", url=dying.url)
        phone.send(UPDATE, {"key": "a", "value": 1, "op_id": "op-1"})
        assert phone.close_code() == 1006

    tablet.call(HEARTBEAT, {"last_seq": 0})
    assert tablet.next_of(SNAPSHOT)["payload"]["state_data"] == {"a": 1}
    again = device("phone", url=other.url).set("a", 1, op_id="op-1")["payload"]
    assert (again["seq"], again["duplicate"]) == (1, True)


@pytest.mark.soak
def test_process_dies_and_nobody_asks(device, pair_env, other):
    """L4: those that only wait are told as well, from the log."""
    with WebProcess(**pair_env, BATON_FAULT="state.before_tell") as dying:
        watch, phone = device("watch", url=other.url), device("phone", url=dying.url)
        phone.send(UPDATE, {"key": "a", "value": 1})
        assert phone.close_code() == 1006

    assert updates(watch, 1)[0]["seq"] == 1


def test_drain(device, pair_env, other, user):
    """DEV-69: told, then closed 1012; what was sent before is done and acked; devices keep their grace."""
    with WebProcess(**pair_env) as leaving:
        watcher, phone = device("watcher", url=other.url), device("phone", url=leaving.url)
        process = leaving.process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        acked = phone.set("a", 1)["payload"]["seq"]
        restart = phone.next_of(13)["payload"]["type"]
        code = phone.close_code()
        process.wait(20)

    assert (acked, restart, code) == (1, "server_restart", 1012)
    assert [frame["type"] for frame in watcher.quiet()] == [10, UPDATE]
    assert watcher.call(LIST)["payload"]["count"] == 2


@pytest.mark.soak
def test_closed_without_redis(device, visitor, other, memory, user):
    """DEV-25, DEV-26, DEV-54: what no notice told is found in the rows."""
    pair, owner = logins.begin(user), {"Authorization": f"Bearer {make_token(user)}"}
    phone, tablet, watch = visitor(), device("tablet"), device("watch", session_id=str(uuid.uuid4()))
    phone.auth(pair["access_token"], "phone")
    end = {"schema_version": "1.0.1", "record_id": str(uuid.uuid4()), "user_id": user, "performer_id": user}
    memory.kill()
    other.post("/auth/revoke", {}, Authorization=f"Bearer {pair['access_token']}")
    other.post("/session_manager/sessions.end", {**end, "session_id": watch.session_id}, **owner)
    httpx.delete(f"{other.url}/session/{tablet.session_id}/device/tablet", headers=owner)

    try:
        assert [one.close_code(45) for one in (phone, tablet, watch)] == [4412, 4410, 4404]
    finally:
        memory.start()


@pytest.mark.soak
def test_process_dies_with_its_devices(device, pair_env, other):
    """DEV-28, L7: a device whose process was killed leaves once, when its lease has run out."""
    short = {**pair_env, "PRESENCE_TTL_S": "3"}
    watcher = device("watcher", url=other.url)
    with WebProcess(**short) as dying:
        device("phone", url=dying.url)
        dying.kill()

    assert watcher.next_of(LEFT, 20)["payload"] == {"device_id": "phone", "reason": "timeout"}
    assert [frame["type"] for frame in watcher.quiet(11)] == [10]
