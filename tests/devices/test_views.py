"""Devices and announcements over HTTP (DEV-52 to DEV-54, DEV-60, DEV-73)."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from sessions_app import ids
from tests.clients import Api
from tests.factories import make_token

DEVICE_MEMBERS = {
    "device_id", "device_type", "device_name", "os_version", "app_version", "session_id", "user_id", "connected_at",
    "last_seen", "is_online", "connection_id",
}  # fmt: skip


@pytest.fixture
def http(user):
    """HTTP as the test's person, in this process: its rows and its Redis are the web process's."""
    return Api(make_token(user))


def test_devices_of_a_session(device, http):
    """DEV-52: the connected ones, in the order of their connecting."""
    tablet, phone = device("tablet", device_type="tablet", device_name="iPad"), device("phone")
    answer = http.get(f"/session/{phone.session_id}/devices").json()

    assert answer.keys() == {"session_id", "devices", "count", "online"}
    assert [one["device_id"] for one in answer["devices"]] == ["tablet", "phone"]
    assert (answer["count"], answer["online"], answer["devices"][0].keys()) == (2, 2, DEVICE_MEMBERS)
    assert answer["devices"][0]["connection_id"] == tablet.success["connection_id"]


def test_known_devices_of_a_session(device, http, user):
    """DEV-52, DEV-53, DEV-60: one that left, one that wrote over HTTP, both ends of a handoff."""
    phone, gone = device("phone"), device("gone", os_version="18.1")
    gone.close()
    phone.next_of(11)
    body = {"session_id": phone.session_id, "user_id": user, "state_data": {}, "device_id": "writer"}
    http.post("/session/snapshot", body)
    http.post(f"/session/{phone.session_id}/handoff", {"source_device": "phone", "target_device": "target"})
    answer = http.get(f"/session/{phone.session_id}/devices?include=offline").json()
    found = {one["device_id"]: one for one in answer["devices"]}

    assert found.keys() == {"phone", "gone", "writer", "target"}
    assert (answer["count"], answer["online"]) == (4, 1)
    assert (found["gone"]["is_online"], found["gone"]["os_version"], found["gone"]["connection_id"]) == (
        False,
        "18.1",
        None,
    )
    assert (found["writer"]["connected_at"], bool(found["gone"]["connected_at"])) == (None, True)


def test_devices_of_a_foreign_session(device):
    """CON-7."""
    foreign = Api(make_token("somebody")).get(f"/session/{device().session_id}/devices")
    unknown = Api(make_token("somebody")).get(f"/session/{ids.new_session_id()}/devices")

    assert (foreign.status_code, foreign.json()["code"]) == (404, "SESSION_NOT_FOUND")
    assert foreign.json().keys() == unknown.json().keys()


def test_disconnect_a_device(device, http):
    """DEV-54: its socket closes 4410, the others hear of it, the session forgets it; it may come back."""
    phone, tablet = device("phone"), device("tablet")
    answer = http.delete(f"/session/{phone.session_id}/device/tablet")

    assert answer.json() == {
        "session_id": phone.session_id, "device_id": "tablet", "disconnected": True, "connections_closed": 1,
    }  # fmt: skip
    assert tablet.close_code() == 4410
    assert phone.next_of(11)["payload"] == {"device_id": "tablet", "reason": "disconnected"}
    assert http.get(f"/session/{phone.session_id}/devices?include=offline").json()["count"] == 1
    assert http.delete(f"/session/{phone.session_id}/device/tablet").status_code == 404
    assert device("tablet").call(12)["payload"]["count"] == 2


def test_disconnect_a_device_that_only_wrote(device, http, user):
    """DEV-53, DEV-54: the log still names it, but it is known no more."""
    phone = device("phone")
    path = f"/session/{phone.session_id}"
    http.post(
        "/session/snapshot", {"session_id": phone.session_id, "user_id": user, "state_data": {}, "device_id": "web"}
    )

    assert http.delete(f"{path}/device/web").json()["connections_closed"] == 0
    assert http.get(f"{path}/devices?include=offline").json()["count"] == 1


@pytest.mark.parametrize(
    ("device_id", "code"), [("nobody", "DEVICE_NOT_FOUND"), ("..", "FIELD_INVALID"), ("x" * 129, "FIELD_INVALID")]
)
def test_disconnect_what_is_not_there(device, http, device_id, code):
    """DEV-54, CON-2."""
    assert http.delete(f"/session/{device().session_id}/device/{device_id}").json()["code"] == code


@pytest.fixture
def admin():
    """HTTP as an administrator."""
    return Api(make_token("boss", ["user", "admin"]))


@pytest.fixture
def watcher(visitor):
    """A socket on the admin channel."""
    one = visitor()
    success = one.call(7, {"token": make_token("boss", ["admin"]), "channel": "admin"})
    assert success["type"] == 8, success
    one.success = success["payload"]
    return one


def test_admin_channel(watcher, device):
    """DEV-71: no session, no device, no presence; it may send HEARTBEAT and AUTH only."""
    assert (watcher.success["channel"], watcher.success["session_id"], watcher.success["epoch"]) == (
        "admin",
        None,
        None,
    )
    assert watcher.call(1)["type"] == 2
    assert watcher.call(3)["payload"]["error"] == "FORBIDDEN"
    assert "session_id" not in watcher.call(1)


def test_admin_channel_hears_of_connections_and_sessions(watcher, device):
    """DEV-72."""
    phone = device()
    phone.close()

    def heard(type_, name, value):
        return watcher.until(lambda f: f["payload"]["type"] == type_ and f["payload"]["data"][name] == value)["payload"]

    assert heard("session_started", "session_id", phone.session_id)["data"]["user_id"] == phone.success["user_id"]
    assert heard("connection_opened", "connection_id", phone.success["connection_id"])["data"]["device_id"] == "phone"
    assert heard("connection_closed", "connection_id", phone.success["connection_id"])["data"]["close_code"] == 1000


@pytest.mark.parametrize(("audience", "delivered"), [("session", 2), ("user", 3)])
def test_announce(admin, device, user, audience, delivered):
    """DEV-73: BROADCAST to a session or a user, `from_device` null; `delivered` counts connections."""
    phone, other = device("phone"), device("tablet")
    elsewhere = device("watch", session_id="0b0e4c57-6f0c-4d7e-9a41-" + phone.success["connection_id"][:12])
    body = {"message": "hello", "type": "note", "data": {"x": 1}, "audience": audience,
            "session_id": phone.session_id, "user_id": user}  # fmt: skip
    answer = admin.post("/admin/broadcast", body).json()
    told = other.next_of(13)["payload"]

    assert answer.keys() == {"id", "type", "message", "audience", "delivered", "sent_at"}
    assert answer["delivered"] == delivered
    assert (told["id"], told["from_device"], told["data"]) == (answer["id"], None, {"x": 1})
    assert len([frame for frame in elsewhere.quiet() if frame["type"] == 13]) == (audience == "user")


def test_announce_to_all(admin, device, watcher):
    """DEV-71, DEV-73: everybody but the admin channel."""
    phone = device()
    answer = admin.post("/admin/broadcast", {"message": "hello", "audience": "all"}).json()

    assert phone.next_of(13)["payload"]["id"] == answer["id"]
    assert answer["delivered"] >= 1
    assert [frame for frame in watcher.quiet() if frame["payload"].get("id") == answer["id"]] == []


@pytest.mark.soak
def test_metrics(watcher, device):
    """DEV-72: counts, every ten seconds."""
    device()
    figures = watcher.until(lambda frame: frame["payload"]["type"] == "metrics", 25)["payload"]["data"]

    assert figures.keys() == {"sessions", "connections", "snapshots"}
    assert figures["connections"]["session"] >= 1


def test_announce_to_admins(admin, watcher, device):
    """DEV-71, DEV-72, OPS-37: the seed's body is enough; no other connection hears it."""
    phone = device()
    answer = admin.post("/admin/broadcast", {"message": "System maintenance scheduled", "type": "notification"}).json()
    told = watcher.until(lambda frame: frame["payload"]["type"] == "notification")

    assert (told["type"], told["payload"]["id"], answer["audience"]) == (14, answer["id"], "admin")
    assert answer["delivered"] >= 1
    assert phone.quiet() == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "FIELD_MISSING"),
        ({"message": " "}, 400, "FIELD_MISSING"),
        ({"message": "x" * 4097}, 400, "FIELD_INVALID"),
        ({"message": "x", "type": "Note"}, 400, "FIELD_INVALID"),
        ({"message": "x", "type": "session_ended"}, 400, "FIELD_INVALID"),
        ({"message": "x", "audience": "nobody"}, 400, "FIELD_INVALID"),
        ({"message": "x", "audience": "session"}, 400, "FIELD_MISSING"),
        ({"message": "x", "audience": "user"}, 400, "FIELD_MISSING"),
        ({"message": "x", "data": []}, 400, "FIELD_INVALID"),
        ({"message": "x", "loud": True}, 400, "FIELD_UNKNOWN"),
        ({"message": "x", "data": {"x": "y" * 16_384}}, 413, "BODY_TOO_LARGE"),
    ],
)
def test_announce_badly(rows, admin, body, status, code):
    """DEV-73."""
    answer = admin.post("/admin/broadcast", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_announce_without_the_role(rows, http):
    """DEV-73, OPS-33."""
    assert http.post("/admin/broadcast", {"message": "x"}).status_code == 403
    assert Api().post("/admin/broadcast", {"message": "x"}).status_code == 401


def test_announce_without_redis(rows, admin, settings):
    """OPS-37: 503, and nothing is sent."""
    settings.REDIS_URL, settings.RATE_ADMIN = "redis://127.0.0.1:9/0", ""
    assert admin.post("/admin/broadcast", {"message": "x"}).json()["code"] == "REDIS_UNAVAILABLE"


def test_staff_cookie_needs_its_csrf_token(rows):
    """OPS-33: the cookie of an active staff user counts as admin, with the token alone."""
    User.objects.create_user("clerk", password="secret-secret", is_staff=True)
    browser = Client(enforce_csrf_checks=True)
    browser.login(username="clerk", password="secret-secret")
    browser.cookies["csrftoken"] = "c" * 32

    def post(**headers):
        return browser.post("/admin/broadcast", b'{"message": "x"}', content_type="application/json", headers=headers)

    assert (post().status_code, post().json()["code"]) == (403, "CSRF_FAILED")
    assert post(**{"X-CSRFToken": "c" * 32}).status_code == 200


def test_staff_cookie_opens_the_admin_channel(web, visitor):
    """DEV-70: the session cookie of an active staff user with an accepted Origin, instead of a token."""
    User.objects.create_user("watchman", password="secret-secret", is_staff=True)
    browser = Client()
    browser.login(username="watchman", password="secret-secret")
    cookie = {"Cookie": f"sessionid={browser.cookies['sessionid'].value}"}

    page = visitor(origin=web.url, additional_headers=cookie)
    script = visitor(additional_headers=cookie)

    assert page.call(7, {"channel": "admin"})["payload"]["user_id"] == "watchman"
    assert script.call(7, {"channel": "admin"})["payload"]["code"] == 401


def test_an_admin_renews_its_token(watcher):
    """DEV-23, DEV-71: AUTH again on the admin channel, which has no device."""
    again = watcher.call(7, {"channel": "admin", "token": make_token("boss", ["admin"])})

    assert (again["type"], again["payload"].get("connection_id")) == (8, watcher.success["connection_id"])
    assert (again["payload"]["channel"], again["payload"]["session_id"]) == ("admin", None)
