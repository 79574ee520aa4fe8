"""AUTH: who gets in, as whom, to which session (DEV-2, DEV-3, DEV-13 to DEV-23)."""

import uuid

import httpx
import jwt
import pytest
from websockets.exceptions import InvalidStatus

from sessions_app import sessions
from sessions_app.access import tokens
from sessions_app.models import Session
from tests.factories import make_caller, make_session, make_token

AUTH, HEARTBEAT = 7, 1


def refused(visitor, user, device_id="phone", *, token=None, envelope=None, **payload):
    """The payload of AUTH_FAILURE, and the close code."""
    one = visitor()
    answer = one.call(AUTH, {"token": make_token(user) if token is None else token, "device_id": device_id, **payload},
                      **(envelope or {}))  # fmt: skip
    assert answer["type"] == 9
    assert "session_id" not in answer
    return answer["payload"]["code"], answer["payload"]["error"], one.close_code()


def test_auth_opens_a_session(device, user):
    """DEV-18, DEV-22: without any session a new one is opened, implicitly and with its start recorded."""
    phone = device()
    session = Session.objects.get(pk=phone.session_id)

    assert phone.session_id.startswith("sess_")
    assert (session.user_id, session.exclusive, session.opened_via, session.log_lines) == (user, False, "ws", 1)


def test_auth_success_says_everything(device):
    """DEV-22: the members of the example, and no others."""
    success = device().success

    assert success.keys() == {
        "session_id", "user_id", "device_id", "connection_id", "new_token", "expires_at", "heartbeat_interval",
        "version", "seq", "epoch", "recovered", "limits",
    }  # fmt: skip
    assert (success["version"], success["seq"], success["epoch"], success["recovered"]) == (0, 0, None, False)
    assert success["limits"] == {"max_message_bytes": 524_288, "rate_per_s": 20, "burst": 200}


def test_auth_joins_the_open_session_with_the_latest_start(device, user):
    """DEV-18 (3)."""
    make_session(user, exclusive=False)
    latest = make_session(user)

    assert device().session_id == latest.session_id


def test_auth_with_the_session_of_the_token(visitor, user):
    """DEV-18 (2): the claim is a default; the envelope goes before it."""
    claimed, named = make_session(user), make_session(user, exclusive=False)
    token = make_token(user, session_id=claimed.session_id)

    assert visitor().auth(token, "phone")["session_id"] == claimed.session_id
    assert visitor().auth(token, "phone", session_id=named.session_id)["session_id"] == named.session_id


def test_auth_opens_a_session_under_a_clients_uuid(visitor, user):
    """DEV-19."""
    wanted = str(uuid.uuid4())
    assert visitor().auth(make_token(user), "phone", session_id=wanted)["session_id"] == wanted


@pytest.mark.parametrize("wanted", ["sess_0123456789abcdef", "foreign"])
def test_auth_to_a_session_that_is_not_there(visitor, wanted, user):
    """DEV-19, CON-7: unknown and foreign look alike."""
    wanted = make_session("u2").session_id if wanted == "foreign" else wanted
    assert refused(visitor, user, envelope={"session_id": wanted}) == (404, "SESSION_NOT_FOUND", 4404)


def test_auth_to_an_ended_session(visitor, user):
    """DEV-19."""
    session = make_session(user)
    sessions.end(session.session_id, user_id=user, performer_id=user, by=make_caller(user))

    assert refused(visitor, user, envelope={"session_id": session.session_id}) == (409, "SESSION_ALREADY_CLOSED", 4404)


def forged(**claims):
    """A token of the right shape by the wrong hand."""
    return jwt.encode({"token_type": "access", "user_id": "u1", "jti": "j", "iat": 1, "exp": 4e9, **claims}, "x" * 32)


@pytest.mark.parametrize(
    "token",
    [
        "", "x", "a.b.c", 5, ["x"], "x" * 5000, forged(),
        jwt.encode({"token_type": "access", "user_id": "u1", "jti": "j", "iat": 1, "exp": 4e9}, "", algorithm="none"),
        make_token("u1", access_ttl_s=-1),
    ],
)  # fmt: skip
def test_auth_with_a_bad_token(visitor, token, user):
    """DEV-15, DEV-20: every kind of bad token is one and the same refusal."""
    assert refused(visitor, user, token=token) == (401, "UNAUTHENTICATED", 4401)


def test_auth_with_a_refresh_token(visitor, user):
    """OPS-16: a refresh token is no access token."""
    assert refused(visitor, user, token=tokens.issue(user)["refresh_token"]) == (401, "UNAUTHENTICATED", 4401)


def test_auth_roles_come_from_the_token(visitor, user):
    """DEV-7, DEV-15, DEV-70: what a payload says of roles means nothing."""
    assert refused(visitor, user, roles=["admin"], channel="admin") == (403, "FORBIDDEN", 4403)


def test_token_in_the_query_is_ignored(web, visitor, user):
    """DEV-1."""
    one = visitor(web.url, query=f"?token={make_token(user)}")
    assert one.call(3)["payload"]["error"] == "NOT_AUTHENTICATED"


@pytest.mark.parametrize(
    ("claims", "device_id", "answer"),
    [
        ({"device_id": "phone"}, "tablet", (403, "DEVICE_MISMATCH", 4403)),
        ({}, None, (400, "BAD_FRAME", 4400)),
        ({}, "../x", (400, "BAD_FRAME", 4400)),
        ({}, 5, (400, "BAD_FRAME", 4400)),
    ],
)
def test_auth_device(visitor, claims, device_id, answer, user):
    """DEV-16."""
    assert refused(visitor, user, device_id, token=make_token(user, **claims)) == answer


def test_auth_takes_the_device_of_the_token(visitor, user):
    """DEV-16."""
    assert visitor().call(AUTH, {"token": make_token(user, device_id="watch")})["device_id"] == "watch"


@pytest.mark.parametrize(
    "texts", [{"device_type": "x" * 33}, {"device_name": "x" * 129}, {"os_version": "x" * 65}, {"app_version": 5}]
)
def test_auth_long_texts(visitor, texts, user):
    """DEV-6."""
    assert refused(visitor, user, **texts)[0::2] == (400, 4400)


def test_auth_as_somebody_else(visitor, user):
    """DEV-17: only operator, service and admin act for others."""
    assert refused(visitor, user, envelope={"user_id": "u2"}) == (403, "FORBIDDEN", 4403)


def test_operator_acts_for_a_person(visitor, user):
    """DEV-17, DEV-45: the connection is the person's, the performer the token's user."""
    one = visitor()
    success = one.call(AUTH, {"token": make_token("carer01", ["operator"]), "device_id": "desk"}, user_id=user)

    assert success["user_id"] == user
    assert one.set("mood", "calm")["payload"]["performer_id"] == "carer01"


def test_frames_before_auth(visitor):
    """DEV-6, DEV-13: HEARTBEAT is answered; two others are refused, the third closes."""
    one = visitor()

    assert one.call(HEARTBEAT, {"client_time": 1.5})["payload"]["client_time"] == 1.5
    for type_ in (3, 5):
        assert one.call(type_)["payload"]["error"] == "NOT_AUTHENTICATED"
    one.send(12, {})
    assert one.close_code() == 4401


def test_seed_client_sends_everything_at_once(visitor, user):
    """DEV-12, DEV-76: AUTH, HEARTBEAT, STATE_UPDATE, DEVICE_LIST back to back are handled in order."""
    one = visitor(subprotocols=())
    one.send(AUTH, {"token": make_token(user), "device_id": "device-456", "device_type": "mobile"})
    one.send(HEARTBEAT, {"client_time": 1763632800123})
    one.send(5, {"key": "meditation_progress", "value": 80, "operation": "SET"})
    one.send(12, {})

    assert [one.next()["type"] for _ in range(4)] == [8, 2, 5, 12]


def test_auth_again(device, user):
    """DEV-23: the same connection_id, no presence frames."""
    phone = device()
    tablet = device("tablet")
    again = phone.auth(make_token(user), "phone")

    assert (again["type"], again["payload"]["connection_id"]) == (8, phone.success["connection_id"])
    assert tablet.quiet() == []


def test_operator_authenticates_again(visitor, user):
    """DEV-10, DEV-23: whom they act for need not be said again; as another operator they may not."""
    one = visitor()
    first = one.call(AUTH, {"token": make_token("carer01", ["operator"]), "device_id": "desk"}, user_id=user)["payload"]
    again = one.auth(make_token("carer01", ["operator"]), "desk")["payload"]

    assert again == {**first, "expires_at": again["expires_at"]}
    assert one.auth(make_token("carer02", ["operator"]), "desk")["payload"]["code"] == 403


@pytest.mark.parametrize("change", [{"user_id": "u2"}, {"device_id": "tablet"}, {"session_id": str(uuid.uuid4())}])
def test_auth_again_as_another(device, change, user):
    """DEV-23: same user, same device, same session."""
    phone = device()
    answer = phone.auth(
        make_token(change.get("user_id", user)), change.get("device_id", "phone"), session_id=change.get("session_id")
    )

    assert (answer["type"], answer["payload"]["code"], phone.close_code()) == (9, 403, 4403)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [((), None), (("baton.v1.json",), "baton.v1.json"), (("soap", "baton.v1.proto"), "baton.v1.proto")],
)
def test_subprotocol(visitor, offered, chosen):
    """DEV-2."""
    assert visitor(subprotocols=offered).socket.subprotocol == chosen


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"subprotocols": ("soap",)}, 400),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://sub.127.0.0.1"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
    ],
)
def test_handshake_refused(visitor, user, options, status):
    """DEV-2, DEV-3: before the upgrade."""
    with pytest.raises(InvalidStatus) as answer:
        visitor(**options)
    assert answer.value.response.status_code == status


def test_handshake_from_the_served_host(web, visitor):
    """DEV-3: the request's own scheme and host."""
    assert visitor(origin=web.url).call(HEARTBEAT)["type"] == 2


def test_handshake_under_a_name_that_is_not_served(web):
    """DEV-3: a page elsewhere whose own name was made to lead here is not of the served host."""
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    names = {"Host": "evil.example", "Origin": "http://evil.example"}
    answer = httpx.get(f"{web.url}/ws", headers={**upgrade, **names, "Sec-WebSocket-Key": "A" * 22 + "=="})

    assert (answer.status_code, answer.json()["code"]) == (403, "ORIGIN_REFUSED")


def test_unknown_path(web, visitor):
    """OPS-57: a socket that has no route is 404, not 500."""
    with pytest.raises(InvalidStatus) as answer:
        visitor(f"{web.url}/nowhere")
    assert answer.value.response.status_code == 404
