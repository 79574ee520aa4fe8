"""What one socket may send, and how long it may be silent (DEV-1 to DEV-6, DEV-24, DEV-25, DEV-28)."""

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from devices.limits import Deadlines
from sessions_app.access import logins, tokens
from tests.factories import make_token
from tests.processes import WebProcess

HEARTBEAT, ERROR, AUTH = 1, 6, 7


@pytest.fixture(scope="module")
def web_env(web_env):
    """Short deadlines and small numbers."""
    return web_env | {
        "WS_AUTH_TIMEOUT_S": "1", "PRESENCE_TTL_S": "3", "WS_MAX_UNAUTHENTICATED_PER_IP": "3",
        "WS_MAX_CONNECTIONS_PER_USER": "2",
    }  # fmt: skip


@pytest.fixture(scope="module")
def web(rows, web_env):
    with WebProcess(**web_env) as process:
        yield process


def frame(size, type_=HEARTBEAT):
    """A well-formed frame of exactly so many bytes."""
    text = json.dumps({"type": type_, "payload": {"x": ""}})
    return text.replace('""', '"' + "x" * (size - len(text)) + '"')


def test_message_before_auth_too_long(visitor):
    """DEV-6: 8192 bytes are read, one more closes 1009."""
    one = visitor()
    one.raw(frame(8192))
    assert one.next()["type"] == 2
    one.raw(frame(8193))
    assert one.close_code() == 1009


def test_message_too_long(device):
    """DEV-6: 524,288 bytes, counted in UTF-8."""
    phone = device()
    phone.raw(frame(524_288))
    assert phone.next()["type"] == 2
    phone.raw(frame(524_286).replace("x" * 3, "x" * 2 + "é", 1) + "  ")
    assert phone.close_code() == 1009


@pytest.mark.parametrize(("subprotocol", "data"), [("baton.v1.json", b"{}"), ("baton.v1.proto", "{}")])
def test_frame_of_the_wrong_kind(visitor, subprotocol, data):
    """DEV-2."""
    one = visitor(subprotocols=[subprotocol])
    one.raw(data)
    assert one.close_code() == 1003


def test_malformed_frames(visitor):
    """DEV-6, DEV-11: each is answered; the tenth is answered and then closes 4400."""
    one = visitor()
    answers = []
    for _ in range(10):
        one.raw("{")
        answers.append(one.next()["payload"])

    assert {answer["error"] for answer in answers} == {"BAD_FRAME"}
    assert [answer["recoverable"] for answer in answers] == [True] * 9 + [False]
    assert one.close_code() == 4400


def test_frames_over_the_rate(device):
    """DEV-6: 200 at once; what is over is dropped with ERROR 429, and a hundred of those close 4429."""
    phone = device()
    for _ in range(420):
        phone.send(HEARTBEAT, {})
    code = phone.close_code()
    refused = [frame["payload"] for frame in phone.kept if frame["type"] == ERROR]

    assert code == 4429
    assert len(refused) == 100
    assert (refused[0]["code"], refused[0]["error"], refused[0]["retry_after"]) == (429, "RATE_LIMITED", 1)
    assert (refused[0]["recoverable"], refused[-1]["recoverable"]) == (True, False)


def test_auth_too_late(visitor):
    """DEV-6: heartbeats do not help."""
    one = visitor()
    one.send(HEARTBEAT, {})
    assert one.close_code() == 4408


@pytest.mark.parametrize(("is_busy", "closed"), [(True, []), (False, [4408])])
def test_auth_in_hand(is_busy, closed):
    """DEV-6: the client was in time, whatever the server's own delay."""
    closes: list[int] = []
    outbox = SimpleNamespace(is_closing=False)
    one: Any = SimpleNamespace(heard_at=0.0, is_busy=is_busy, outbox=outbox, close=closes.append)
    deadlines = Deadlines(one, auth_within_s=10, silence_s=120)

    assert deadlines.check(9) == 10
    assert deadlines.check(10) == 11
    assert closes == closed


def test_too_many_unauthenticated_sockets(visitor):
    """DEV-6: HTTP 429 before the upgrade, until one of them has authenticated or gone."""
    for _ in range(3):
        last = visitor()
    with pytest.raises(InvalidStatus) as refused:
        visitor()
    last.auth(make_token(), "phone")

    assert refused.value.response.status_code == 429
    assert visitor().call(HEARTBEAT)["type"] == 2


def test_too_many_sockets_of_a_user(device, visitor, user):
    """DEV-6, DEV-20."""
    device("a")
    device("b")
    third = visitor()
    answer = third.auth(make_token(user), "c")["payload"]

    assert (answer["code"], third.close_code()) == (429, 4429)
    assert device("a").call(12)["payload"]["count"] == 2


def test_silent_connection(device):
    """DEV-28: after the lease's time without a frame it closes, and its device leaves; a heartbeat keeps it."""
    phone, tablet = device("phone"), device("tablet")
    left = None
    until = time.monotonic() + 8
    while left is None and time.monotonic() < until:
        phone.call(HEARTBEAT)
        left = next((frame for frame in phone.quiet(0.5) if frame["type"] == 11), None)

    assert left is not None
    assert left["payload"] == {"device_id": "tablet", "reason": "timeout"}
    assert tablet.close_code() == 4408


def test_token_ends_unless_it_is_renewed(visitor, user):
    """DEV-23, DEV-24: warned at once if under 60 s are left; closed 4411 at the end, but for who has a new token."""
    renewed, left = visitor(), visitor()
    for one, name in ((renewed, "phone"), (left, "tablet")):
        one.auth(tokens.issue(user, access_ttl_s=1)["access_token"], name)
        warning = one.next_of(ERROR)["payload"]
        assert (warning["code"], warning["error"], warning["recoverable"]) == (401, "TOKEN_EXPIRING", True)
        assert warning["retry_after"] == 1
    again = renewed.auth(make_token(user), "phone")["payload"]

    assert again["expires_at"] > time.time() + 800
    assert left.close_code() == 4411
    assert renewed.call(HEARTBEAT)["type"] == 2
    assert [frame for frame in renewed.quiet() if frame["type"] == ERROR] == []


def test_token_revoked(web, visitor, user):
    """DEV-25, L8: its sockets close 4412, others stay; the device leaves as revoked."""
    pair = logins.begin(user)
    one, other = visitor(), visitor()
    one.auth(pair["access_token"], "phone")
    other.auth(make_token(user), "tablet")
    web.post("/auth/revoke", {}, Authorization=f"Bearer {pair['access_token']}")

    assert one.close_code() == 4412
    assert other.next_of(11)["payload"] == {"device_id": "phone", "reason": "revoked"}
