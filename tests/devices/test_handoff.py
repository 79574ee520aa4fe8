"""One device hands the state to another: once, with a receipt (DEV-55 to DEV-63, L6)."""

import datetime as dt
import threading

import pytest
import time_machine
from django.db import connection

from devices import handoff
from devices.models import HandoffToken
from sessions_app import clock, sessions
from tests.clients import Api
from tests.factories import make_caller, make_session, make_snapshot, make_token

EMPTY_CHECKSUM = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
ENDS = {"source_device": "phone", "target_device": "tablet"}


@pytest.fixture
def session(db):
    return make_session()


@pytest.fixture
def path(session):
    return f"/session/{session.session_id}/handoff"


@pytest.fixture
def offer(api, path):
    """Issues a token."""
    return lambda: api.post(path, ENDS).json()["token"]


def test_offer(api, path, session):
    """DEV-55, DEV-56: the members of the example; the token is shown, and only its hash kept."""
    answer = api.post(path, ENDS)
    body, kept = answer.json(), HandoffToken.objects.get()

    assert (answer.status_code, answer["Cache-Control"]) == (201, "no-store")
    assert body.keys() == {
        "token", "handoff_token", "handoff_id", "session_id", "source_device", "target_device", "version", "checksum",
        "expires_at", "expires_in",
    }  # fmt: skip
    assert (len(body["token"]), body["handoff_token"], body["version"]) == (64, body["token"], 0)
    assert (body["checksum"], body["expires_in"], kept.handoff_id) == (EMPTY_CHECKSUM, 300, body["handoff_id"])
    assert bytes.fromhex(body["token"]) != bytes(kept.token_sha256)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"source_device": "a", "target_device": "a"}, "SAME_DEVICE"),
        ({"source_device": "a"}, "FIELD_MISSING"),
        ({**ENDS, "x": 1}, "FIELD_UNKNOWN"),
        ({"source_device": "../a", "target_device": "b"}, "FIELD_INVALID"),
    ],
)
def test_offer_badly(api, path, body, code):
    """DEV-55."""
    assert api.post(path, body).json()["code"] == code


def test_offer_of_an_ended_session(api, path, session):
    """DEV-55."""
    sessions.end(session.session_id, user_id="u1", performer_id="u1", by=make_caller())
    assert api.post(path, ENDS).json()["code"] == "SESSION_ALREADY_CLOSED"


def test_offer_too_often(api, path):
    """DEV-55: ten a minute for one session."""
    answers = [api.post(path, ENDS).status_code for _ in range(11)]
    assert answers == [201] * 10 + [429]


def test_accept(api, path, session, offer):
    """DEV-56, DEV-59: the state as it is at redemption, and which one it was at issue."""
    make_snapshot(state={"a": 1}, session_id=session.session_id)
    token = offer()
    now = make_snapshot(state={"a": 2}, session_id=session.session_id)
    answer = api.get(f"{path}/{token}", **{"X-Device-ID": "tablet"})
    body = answer.json()
    receipt = body.pop("receipt")

    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert body == {
        "valid": True, "handoff_id": receipt["handoff_id"], "session_id": session.session_id, "user_id": "u1", **ENDS,
        "state_data": {"a": 2}, "version": 2, "epoch": now.epoch, "checksum": now.checksum, "replayed": False,
    }  # fmt: skip
    assert (receipt["issued_version"], receipt["redeemed_version"], receipt["redeemed_checksum"]) == (
        1,
        2,
        now.checksum,
    )
    assert receipt.keys() == {
        "handoff_id", "source_device", "target_device", "issued_version", "issued_checksum", "issued_at",
        "redeemed_version", "redeemed_checksum", "redeemed_at",
    }  # fmt: skip


def test_accept_without_state(api, path, offer):
    """DEV-59."""
    body = api.get(f"{path}/{offer()}").json()
    assert (body["version"], body["epoch"], body["state_data"], body["checksum"]) == (0, None, {}, EMPTY_CHECKSUM)


def test_accept_twice(api, path, offer):
    """DEV-58, DEV-61: without an Idempotency-Key nobody gets a second answer."""
    token = offer()
    named = {"X-Device-ID": "tablet"}

    assert api.get(f"{path}/{token}", **named).status_code == 200
    assert (api.get(f"{path}/{token}", **named).status_code, api.get(f"{path}/{token}").json()["code"]) == (
        410,
        "HANDOFF_USED",
    )


def test_accept_as_another_device(path, offer):
    """DEV-57: refused, and the handoff stays usable; the claim goes before the header."""
    token = offer()
    phone, tablet = Api(make_token(device_id="phone")), Api(make_token(device_id="tablet"))

    assert phone.get(f"{path}/{token}", **{"X-Device-ID": "tablet"}).json()["code"] == "DEVICE_MISMATCH"
    assert tablet.get(f"{path}/{token}").status_code == 200


def test_replay(api, path, offer):
    """DEV-61: the named target with the same key, for 30 s; nobody else."""
    token = offer()
    named = {"X-Device-ID": "tablet", "Idempotency-Key": "k-1"}
    with time_machine.travel(clock.now(), tick=False) as traveller:
        first = api.get(f"{path}/{token}", **named).json()
        traveller.shift(30)
        again = api.get(f"{path}/{token}", **named).json()
        others = [
            api.get(f"{path}/{token}", **{"Idempotency-Key": "k-1"}),
            api.get(f"{path}/{token}", **{**named, "Idempotency-Key": "k-2"}),
        ]
        traveller.shift(0.001)
        late = api.get(f"{path}/{token}", **named)

    assert again == {**first, "replayed": True}
    assert [answer.json()["code"] for answer in [*others, late]] == ["HANDOFF_USED"] * 3


def test_token_expires(api, path, offer):
    """DEV-58: 410 from 300 s after issue, for a day; then 404."""
    with time_machine.travel(clock.now(), tick=False) as traveller:
        token = offer()
        traveller.shift(300)
        assert api.get(f"{path}/{token}").json()["code"] == "HANDOFF_EXPIRED"
        traveller.shift(dt.timedelta(hours=24, seconds=1))
        caller = Api(make_token())
        assert caller.get(f"{path}/{token}").json()["code"] == "HANDOFF_NOT_FOUND"
        assert handoff.erase_old(clock.now()) == 1


@pytest.mark.parametrize("token", ["0" * 64, "x", "0" * 63, "Ä" * 64, "F" * 64])
def test_unknown_token(api, path, token):
    """DEV-58."""
    assert api.get(f"{path}/{token}").json()["code"] == "HANDOFF_NOT_FOUND"


def test_token_of_another_session(api, path, offer, db):
    """DEV-58."""
    other = make_session(exclusive=False)
    assert api.get(f"/session/{other.session_id}/handoff/{offer()}").json()["code"] == "HANDOFF_NOT_FOUND"


def test_token_of_somebody_else(path, offer):
    """DEV-57, CON-7."""
    assert Api(make_token("u2")).get(f"{path}/{offer()}").json()["code"] == "SESSION_NOT_FOUND"


def test_accept_after_the_end(api, path, session, offer):
    """DEV-58."""
    token = offer()
    sessions.end(session.session_id, user_id="u1", performer_id="u1", by=make_caller())
    assert api.get(f"{path}/{token}").json()["code"] == "SESSION_ALREADY_CLOSED"


def test_head_redeems_nothing(api, path, offer):
    """DEV-58."""
    token = offer()
    assert api.raw("HEAD", f"{path}/{token}", b"").status_code == 405
    assert api.get(f"{path}/{token}").status_code == 200


def test_recent(api, path, session):
    """DEV-63: newest first, with receipts, never a token."""
    tokens = [api.post(path, ENDS).json()["token"] for _ in range(2)]
    api.get(f"{path}/{tokens[0]}")
    answer = api.get(f"{path}s")
    found = answer.json()["handoffs"]

    assert [one["status"] for one in found] == ["pending", "redeemed"]
    assert (found[0]["receipt"], found[1]["receipt"]["target_device"]) == (None, "tablet")
    assert found[0].keys() == {
        "handoff_id", "status", "source_device", "target_device", "issued_at", "expires_at", "receipt",
    }  # fmt: skip
    assert not any(token in answer.content.decode() for token in tokens)


@pytest.mark.django_db(transaction=True)
def test_fifty_redemptions_at_once():
    """L6: one of all is answered 200, the others 410."""
    session = make_session()
    token = handoff.offer(session.session_id, by=make_caller(), **ENDS)["token"]
    answers: list[int] = []

    def redeem():
        answers.append(Api(make_token()).get(f"/session/{session.session_id}/handoff/{token}").status_code)
        connection.close()

    threads = [threading.Thread(target=redeem) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [200] + [410] * 49


def test_source_is_told(web, device, user):
    """DEV-62: the source's connection alone, once."""
    phone, tablet = device("phone"), device("tablet")
    http = Api(make_token(user))
    token = http.post(f"/session/{phone.session_id}/handoff", ENDS).json()["token"]
    receipt = http.get(f"/session/{phone.session_id}/handoff/{token}").json()["receipt"]
    told = phone.next_of(13)["payload"]

    assert (told["type"], told["data"], told["from_device"]) == ("handoff_complete", receipt, "tablet")
    assert tablet.quiet() == []
