"""BROADCAST from a client, and what is wrong with an envelope (DEV-9 to DEV-14)."""

import pytest

from sessions_app.fanout import frames

BROADCAST, HEARTBEAT = 13, 1


def test_broadcast_reaches_the_session(device):
    """DEV-14: every connection, the sender's copy with the correlation_id; `from_device` is the server's word."""
    phone, tablet = device("phone"), device("tablet")
    mine = phone.call(BROADCAST, {"message": "hello", "data": {"x": [1]}, "from_device": "forged"})
    theirs = tablet.next_of(BROADCAST)

    assert mine["payload"] == theirs["payload"]
    assert "correlation_id" not in theirs
    assert mine["payload"].keys() == {"id", "type", "message", "data", "from_device", "sent_at"}
    assert (mine["payload"]["type"], mine["payload"]["from_device"]) == ("message", "phone")


def test_broadcast_is_not_kept(device):
    """DEV-14, DEV-49."""
    phone = device("phone")
    phone.call(BROADCAST, {"message": "hello"})

    assert device("tablet").quiet() == []


def test_broadcast_refused(device):
    """DEV-6, DEV-14: reserved types, no text, data that is too deep; none of them reaches anybody."""
    phone, tablet = device("phone"), device("tablet")
    deep: object = 1
    for _ in range(40):
        deep = [deep]
    wrong = [{}, {"message": 5}, {"message": "x", "type": 5}, {"message": "x", "data": deep}]

    for payload in [*wrong, *({"message": "x", "type": reserved} for reserved in sorted(frames.RESERVED))]:
        assert phone.call(BROADCAST, payload)["payload"]["code"] == 400
    assert tablet.quiet() == []


@pytest.mark.parametrize(("message", "data", "fits"), [
    ("é" * 8192, None, True), ("é" * 8192 + "x", None, False), ("x", "y" * 16_381, True), ("x", "y" * 16_382, False),
])  # fmt: skip
def test_broadcast_size(device, message, data, fits):
    """DEV-6: UTF-8 bytes of the message and of the JSON of the data, together."""
    answer = device().call(BROADCAST, {"message": message, "data": data})
    if fits:
        assert answer["type"] == BROADCAST
    else:
        assert (answer["payload"]["code"], answer["payload"]["error"]) == (413, "MESSAGE_TOO_LARGE")


@pytest.mark.parametrize("envelope", [{"session_id": "sess_0123456789abcdef"}, {"user_id": "u2"}, {"device_id": 5}])
def test_identity_mismatch(device, envelope):
    """DEV-10: refused, without effect; the connection's own ids are welcome."""
    phone = device()
    own = {"session_id": phone.session_id, "user_id": phone.success["user_id"], "device_id": "phone"}

    assert phone.call(5, {"key": "k", "value": 1}, **envelope)["payload"]["error"] == "IDENTITY_MISMATCH"
    assert phone.call(3, **own)["payload"]["version"] == 0


@pytest.mark.parametrize("client_time", [1763632800123, 1.5, -1, 0, 10**30, None])
def test_heartbeat_echoes(device, client_time):
    """DEV-7: any JSON number, unchanged."""
    assert device().call(HEARTBEAT, {"client_time": client_time})["payload"]["client_time"] == client_time


@pytest.mark.parametrize(
    "payload", [{"client_time": "now"}, {"client_time": True}, {"last_seq": "1"}, {"last_seq": 1.5}]
)
def test_heartbeat_refused(device, payload):
    """DEV-7."""
    assert device().call(HEARTBEAT, payload)["payload"]["error"] == "BAD_FRAME"


def test_answers_come_in_order(device):
    """DEV-12: frames sent back to back, with and without the database."""
    phone = device()
    for number in range(30):
        phone.send((5, HEARTBEAT, 12)[number % 3], {"key": "k", "value": number}, correlation_id=str(number))

    answers = [phone.next()["correlation_id"] for _ in range(30)]
    assert answers == [str(number) for number in range(30)]
