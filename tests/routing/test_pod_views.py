"""The pod endpoints over HTTP (POD sections 1, 2 and 12), as Django serves them, without a worker."""

import json
from typing import Any

import pytest
from django.test import Client

from routing import inbox, pods
from routing.models import ChatMessage, Pod
from sessions_app import redisdoor, sessions
from sessions_app.errors import RedisUnavailable
from sessions_app.models import Session
from tests.clients import Api
from tests.factories import make_caller, make_session, make_token
from tests.logs import events

CREATE = "/session/create"
UUID = "0b6f7c1e-6a59-4a0c-9d0f-6c1f2b1f5a77"
NOBODY = "sess_ffffffffffffffff"


@pytest.fixture
def session_id(api: Api) -> str:
    """A session of u1 with a pod."""
    return str(api.post(CREATE, {"user_id": "u1"}).json()["uuid"])


def chat(api: Api, session_id: str, text: Any = "Hello", **headers: str) -> Any:
    return api.post(f"/session/{session_id}/chat", {"message": text}, **headers)


def chat_in_utf8(api: Api, session_id: str, text: str) -> Any:
    """Without the escapes of ASCII, so that a long text stays below the limit of a body."""
    body = json.dumps({"message": text}, ensure_ascii=False)
    return api.raw("POST", f"/session/{session_id}/chat", body.encode())


def test_create_answers_as_documented(api: Api) -> None:
    """POD-10, POD-11, SES-28."""
    answer = api.post(CREATE, {"user_id": "u1"})
    made = answer.json()
    assert answer.status_code == 201
    assert list(made) == ["uuid", "user_id", "status", "created_at", "last_activity", "expires_at"]
    assert (made["user_id"], made["status"], made["last_activity"]) == ("u1", "created", made["created_at"])
    assert answer.headers["Location"] == f"/session/{made['uuid']}/status"
    assert [event["event"] for event in events("u1", made["uuid"])] == ["session.start", "pod.created"]
    assert not Session.objects.get().exclusive


def test_create_under_an_unknown_uuid_opens_it(api: Api) -> None:
    """The table of create."""
    assert api.post(CREATE, {"user_id": "u1", "uuid": UUID}).json()["uuid"] == UUID
    assert api.post(CREATE, {"user_id": "u1", "uuid": UUID}).json()["code"] == "POD_EXISTS"


def test_create_attaches_to_an_open_session(api: Api) -> None:
    """The table of create; POD-43."""
    session = make_session("u1")
    assert api.post(CREATE, {"user_id": "u1", "uuid": session.session_id}).status_code == 201
    assert Pod.objects.get().attached


@pytest.mark.parametrize(
    ("uuid", "status", "code"),
    [
        (NOBODY, 404, "SESSION_NOT_FOUND"),
        ("foreign", 404, "SESSION_NOT_FOUND"),
        ("closed", 409, "SESSION_ALREADY_CLOSED"),
        ("SESS_0123456789ABCDEF", 400, "SESSION_ID_INVALID"),
        (UUID.upper(), 400, "SESSION_ID_INVALID"),
    ],
)
def test_create_refuses_what_it_cannot_attach_to(api: Api, uuid: str, status: int, code: str) -> None:
    """The table of create: nothing is recorded."""
    if uuid == "foreign":
        uuid = make_session("u2").session_id
    elif uuid == "closed":
        uuid = make_session("u1").session_id
        sessions.end(uuid, user_id="u1", performer_id="u1", by=make_caller("u1"))
    answer = api.post(CREATE, {"user_id": "u1", "uuid": uuid})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Pod.objects.exists()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "MALFORMED_JSON"),
        (b"[]", "MALFORMED_JSON"),
        (b" ", "MALFORMED_JSON"),
        (b"", "MALFORMED_JSON"),
        (b'{"user_id":"a","user_id":"b"}', "MALFORMED_JSON"),
        (b"{}", "FIELD_MISSING"),
        (b'{"user_id":null}', "FIELD_MISSING"),
        (b'{"user_id":7}', "FIELD_INVALID"),
        (b'{"user_id":"../x"}', "FIELD_INVALID"),
        (b'{"user_id":".."}', "FIELD_INVALID"),
        (b'{"user_id":"u1","image":"x"}', "FIELD_UNKNOWN"),
        (b'{"user_id":"u1","uuid":7}', "SESSION_ID_INVALID"),
    ],
)
def test_create_refuses_malformed_bodies(api: Api, body: bytes, code: str) -> None:
    """POD-2, CON-5."""
    answer = api.raw("POST", CREATE, body, **{"Content-Type": "application/json"})  # also where there is no body
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_bodies_of_other_kinds_are_refused(api: Api, session_id: str) -> None:
    """POD-2: 415 and 413 before 400."""
    assert api.raw("POST", CREATE, b"{}", "text/plain").json()["code"] == "UNSUPPORTED_MEDIA_TYPE"
    assert api.raw("POST", "/session/nonsense/chat", b"{}", "text/plain").status_code == 415
    big = json.dumps({"message": "x" * 65_536}).encode()
    assert api.raw("POST", f"/session/{session_id}/chat", big).json()["code"] == "BODY_TOO_LARGE"


@pytest.mark.parametrize(
    ("data", "status"), [(b"", 200), (b"{}", 200), (b" {} ", 200), (b"[]", 400), (b'{"a":1}', 400)]
)
def test_bodyless_calls_take_any_media_type(api: Api, session_id: str, data: bytes, status: int) -> None:
    """POD-2."""
    for method, path in (("POST", "/wake"), ("POST", "/sleep"), ("DELETE", "")):
        answer = api.raw(method, f"/session/{session_id}{path}", data, "application/octet-stream")
        assert answer.status_code == status


@pytest.mark.parametrize("message", ["", "   ", 7, None, "x" * 16_385, "a\x00b", "\ud800", ["x"], {"a": 1}])
def test_chat_refuses_messages_it_cannot_carry(api: Api, session_id: str, message: Any) -> None:
    """The chat's body: 1 to 16,384 characters, not blank, no U+0000, no lone surrogate, at most 65,000 bytes."""
    answer = chat(api, session_id, message)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "message")
    assert not ChatMessage.objects.exists()


def test_chat_takes_the_longest_message(api: Api, session_id: str) -> None:
    """16,384 characters, 65,000 bytes."""
    assert chat(api, session_id, "x" * 16_384).status_code == 202
    assert chat_in_utf8(api, session_id, "\U0001f600" * 16_250).status_code == 202
    assert chat_in_utf8(api, session_id, "\U0001f600" * 16_251).json()["code"] == "FIELD_INVALID"


def test_chat_is_queued_and_shown(api: Api, session_id: str) -> None:
    """POD-17, POD-20 to POD-22, POD-40: 202 without any worker, no text in the log."""
    answers = [chat(api, session_id, text).json() for text in ("one", "two")]
    assert list(answers[0]) == ["uuid", "status", "message", "message_id", "seq", "position"]
    assert [(one["seq"], one["position"]) for one in answers] == [(1, 1), (2, 2)]
    page = api.get(f"/session/{session_id}/messages?limit=1").json()
    assert (page["next"], page["more"], page["messages"][0]["message"]) == (1, True, "one")
    assert list(page["messages"][0]) == [
        "message_id", "seq", "cursor", "status", "message", "pod_response", "error", "attempts", "created_at",
        "settled_at", "performer_id",
    ]  # fmt: skip
    rest = api.get(f"/session/{session_id}/messages?after=1").json()
    assert ([one["seq"] for one in rest["messages"]], rest["next"], rest["more"]) == ([2], 2, False)
    assert api.get(f"/session/{session_id}/messages?after=2").json()["next"] == 2
    log = events("u1", session_id)
    assert [event["event"] for event in log[2:]] == ["pod.woken", "chat.accepted", "chat.accepted"]
    assert log[-1]["length"] == 3
    assert "two" not in json.dumps(log)


def test_chat_refuses_more_than_may_wait(api: Api, session_id: str, settings: Any) -> None:
    """POD-20."""
    settings.CHAT_MAX_PENDING = 1
    chat(api, session_id)
    answer = chat(api, session_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "QUEUE_FULL")


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=201", "wait=26", "wait=-1", "after=1e3"])
def test_messages_refuses_bad_queries(api: Api, session_id: str, query: str) -> None:
    """POD-21."""
    answer = api.get(f"/session/{session_id}/messages?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "FIELD_INVALID")


def test_status_answers_as_documented(api: Api, session_id: str) -> None:
    """POD-24, POD-25."""
    chat(api, session_id)
    shown = api.get(f"/session/{session_id}/status").json()
    assert list(shown) == [
        "uuid", "status", "session", "replicas", "queue_length", "in_flight", "dead_letters", "driver", "desired",
        "observed", "reason", "since", "expires_at", "timestamp", "transitions",
    ]  # fmt: skip
    assert (shown["status"], shown["desired"], shown["driver"]) == ("waking", "awake", "local")
    assert (shown["replicas"], shown["queue_length"], shown["in_flight"]) == (0, 1, 0)
    assert [(one["from"], one["to"]) for one in shown["transitions"]] == [("created", "waking"), (None, "created")]


def test_wake_without_a_worker_is_queued(api: Api, session_id: str) -> None:
    """POD-13."""
    answer = api.post(f"/session/{session_id}/wake", {})
    assert answer.json() == {"uuid": session_id, "action": "wake", "status": "queued", "message": "Pod is waking up"}
    assert Pod.objects.get().state == "waking"


def test_sleep_tells_the_true_state(api: Api, session_id: str) -> None:
    """POD-14, POD-32: at once where nothing is pending, a wish where something is."""
    path = f"/session/{session_id}/sleep"
    said = {"uuid": session_id, "action": "sleep", "status": "sleeping", "message": "Pod queued for sleep"}
    assert api.post(path, {}).json() == {**said, "state": "sleeping"}
    chat(api, session_id)
    assert api.post(path, {}).json() == {**said, "state": "waking"}
    assert Pod.objects.get().desired == "asleep"


def test_keys_make_one_pod(api: Api) -> None:
    """POD-12."""
    body = {"user_id": "u1"}
    first = api.post(CREATE, body, **{"Idempotency-Key": "k1"})
    again = api.post(CREATE, body, **{"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    other = api.post(CREATE, {**body, "uuid": UUID}, **{"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert Pod.objects.count() == 1
    for bad in ("", "a b", "x" * 129, "\x7f"):
        assert api.post(CREATE, body, **{"Idempotency-Key": bad}).status_code == 400


def test_a_request_that_was_faster_under_the_same_key_is_repeated(api: Api, monkeypatch: Any) -> None:
    """POD-12: also where the first look at the key came before it, and the session has its pod already."""
    body, key = {"user_id": "u1", "uuid": UUID}, {"Idempotency-Key": "k1"}
    first = api.post(CREATE, body, **key)
    look, looks = pods._created_before, iter([lambda *_: None])
    monkeypatch.setattr(pods, "_created_before", lambda *key: next(looks, look)(*key))
    again = api.post(CREATE, body, **key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_days_old_key_is_free_again(api: Api) -> None:
    """POD-12: a 201 is stored for 24 hours."""
    first = api.post(CREATE, {"user_id": "u1"}, **{"Idempotency-Key": "k1"}).json()["uuid"]
    Pod.objects.update(created_at=Pod.objects.get().created_at - pods.KEY_LIFE)
    assert api.post(CREATE, {"user_id": "u1"}, **{"Idempotency-Key": "k1"}).json()["uuid"] != first


def test_others_sessions_look_unknown(api: Api, carer: Api, session_id: str) -> None:
    """POD-4, CON-7: indistinguishable for a user, open for a carer."""
    stranger = Api(make_token("u2"))
    for method, path in (("POST", "chat"), ("POST", "wake"), ("POST", "sleep"), ("GET", "status"), ("GET", "messages")):
        bodies = [
            one.raw(method, f"/session/{which}/{path}", b'{"message":"x"}' if path == "chat" else b"")
            for one, which in ((stranger, session_id), (api, NOBODY))
        ]
        kept = [{k: v for k, v in body.json().items() if k != "request_id"} for body in bodies]
        assert kept[0] == kept[1]
        assert kept[0]["code"] == "SESSION_NOT_FOUND"
    assert stranger.delete(f"/session/{session_id}").status_code == 404
    assert stranger.post(CREATE, {"user_id": "u1"}).json()["code"] == "USER_NOT_ALLOWED"
    assert chat(carer, session_id).status_code == 202
    assert ChatMessage.objects.get().performer_id == "carer01"


def test_a_session_without_pod_says_so(api: Api) -> None:
    """POD-75."""
    session_id = make_session("u1").session_id
    assert chat(api, session_id).json()["code"] == "POD_NOT_FOUND"
    assert api.get(f"/session/{session_id}/status").json()["code"] == "POD_NOT_FOUND"
    assert api.delete(f"/session/{session_id}").json()["status"] == "terminated"
    assert Session.objects.get().end_reason == "deleted"


def test_an_expired_pod_is_gone(api: Api, session_id: str, settings: Any) -> None:
    """POD-42, POD-75: an attached one leaves its session and may be followed by another, which counts on."""
    attached = make_session("u1").session_id
    api.post(CREATE, {"user_id": "u1", "uuid": attached})
    Pod.objects.update(last_seq=7, last_cursor=9)
    settings.SESSION_TTL = 0
    assert api.get(f"/session/{session_id}/status").json()["code"] == "SESSION_NOT_FOUND"
    assert api.get(f"/session/{attached}/status").json()["code"] == "POD_NOT_FOUND"
    assert api.post(CREATE, {"user_id": "u1", "uuid": session_id}).json()["code"] == "SESSION_ALREADY_CLOSED"
    settings.SESSION_TTL = 60
    Pod.objects.update(last_activity_at="2020-01-01T00:00:00Z")
    assert api.post(CREATE, {"user_id": "u1", "uuid": attached}).status_code == 201
    assert chat(api, attached).json()["seq"] == 8
    assert Session.objects.get(session_id=session_id).end_reason == "timeout"


def test_a_session_with_pending_messages_does_not_expire(api: Api, session_id: str, settings: Any) -> None:
    """POD-42."""
    chat(api, session_id)
    settings.SESSION_TTL = 0
    assert api.get(f"/session/{session_id}/status").status_code == 200


def test_list_shows_live_sessions(api: Api, carer: Api, session_id: str) -> None:
    """POD-30."""
    other = carer.post(CREATE, {"user_id": "u2"}).json()["uuid"]
    make_session("u1")  # has no pod
    mine, all_of_them = api.get("/sessions").json(), carer.get("/sessions").json()
    assert (mine["total"], [one["uuid"] for one in mine["sessions"]]) == (1, [session_id])
    assert list(mine["sessions"][0]) == ["uuid", "user_id", "status", "created_at", "last_activity"]
    assert [one["uuid"] for one in all_of_them["sessions"]] == [other, session_id]
    assert carer.get("/sessions?limit=1&offset=1").json()["sessions"][0]["uuid"] == session_id
    assert carer.get("/sessions?user_id=u2&status=created").json()["total"] == 1
    assert carer.get("/sessions?status=failed").json() == {"total": 0, "sessions": []}
    for bad in ("limit=0", "limit=1001", "offset=-1", "status=asleep", "user_id=.."):
        assert carer.get(f"/sessions?{bad}").status_code == 400


def test_counts_are_those_of_the_metrics(api: Api, session_id: str) -> None:
    """POD-31."""
    api.post(f"/session/{session_id}/sleep", {})
    api.post(CREATE, {"user_id": "u1"})
    assert pods.counts() == {
        "total_sessions": 2, "active_sessions": 1, "sleeping_sessions": 1, "failed_sessions": 0,
    }  # fmt: skip


def test_wrong_methods_are_refused(api: Api, session_id: str) -> None:
    """POD-75: 405 with Allow; the fixed words are no ids."""
    assert api.get(CREATE).headers["Allow"] == "POST"
    assert api.raw("PUT", f"/session/{session_id}", b"{}").headers["Allow"] == "GET, PATCH, DELETE, HEAD"
    assert api.delete("/session/create").status_code == 405
    assert api.get(f"/session/{session_id}/chat").json()["code"] == "METHOD_NOT_ALLOWED"


def test_limits_count_by_address_before_anybody_is_known(db: None, settings: Any) -> None:
    """POD-5, POD-7, POD-8, POD-76 row 12: refused requests count, and a forged header changes nothing."""
    settings.RATE_POD_CREATE = "3/m"
    stranger = Api()
    answers = [stranger.post(CREATE, {}, **{"X-Forwarded-For": f"198.51.100.{n}"}) for n in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    limited = answers[-1]
    assert limited.json()["code"] == "RATE_LIMITED"
    assert 1 <= int(limited.headers["Retry-After"]) <= 60
    assert limited.json()["retry_after"] == int(limited.headers["Retry-After"])
    assert limited.headers["X-RateLimit-Remaining"] == "0"
    settings.TRUSTED_PROXIES = ["127.0.0.0/8"]
    assert stranger.post(CREATE, {}, **{"X-Forwarded-For": "198.51.100.9"}).status_code == 401


def test_each_endpoint_counts_for_itself(api: Api, session_id: str, settings: Any) -> None:
    """POD-7: over all session ids."""
    settings.RATE_POD_READ = "1/d"
    assert api.get("/sessions").status_code == 200
    assert api.get(f"/session/{session_id}/status").status_code == 200
    assert api.get(f"/session/{NOBODY}/status").status_code == 429
    assert api.get("/sessions").status_code == 429


def test_without_redis_only_reads_are_answered(api: Api, session_id: str, monkeypatch: Any) -> None:
    """POD-5, POD-9, POD-76 row 11: 503 even before 401, and nothing changes."""

    def away(*_: Any, **__: Any) -> None:
        raise RedisUnavailable

    monkeypatch.setattr("sessions_app.access.limits.add", away)
    monkeypatch.setattr(inbox, "ping", away)
    for answer in (
        Api().post(CREATE, {"user_id": "u1"}),
        chat(api, session_id),
        api.post(f"/session/{session_id}/wake", {}),
        api.delete(f"/session/{session_id}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "REDIS_UNAVAILABLE")
        assert answer.headers["Retry-After"] == "5"
    assert api.get(f"/session/{session_id}/status").json()["status"] == "created"
    assert api.get("/sessions").status_code == 200


def test_a_failed_append_changes_nothing(api: Api, session_id: str, monkeypatch: Any) -> None:
    """POD-9, POD-40: 503, rolled back."""
    before = list(Pod.objects.values())
    monkeypatch.setattr("sessions_app.eventlog.os.write", lambda *_: 0)
    for answer in (
        chat(api, session_id),
        api.post(f"/session/{session_id}/wake", {}),
        api.post(CREATE, {"user_id": "u1"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "RECORDER_UNAVAILABLE")
    assert list(Pod.objects.values()) == before
    assert not ChatMessage.objects.exists()


def test_open_house_acts_as_whom_it_names(db: None, settings: Any) -> None:
    """POD-4: AUTH_REQUIRED=false."""
    settings.AUTH_REQUIRED = False
    anybody = Api()
    session_id = anybody.post(CREATE, {"user_id": "u9"}).json()["uuid"]
    assert chat(anybody, session_id).status_code == 202
    assert ChatMessage.objects.get().performer_id == "u9"
    assert {event["performer_id"] for event in events("u9", session_id)} == {"u9"}
    assert anybody.get("/sessions").json()["total"] == 1


def test_a_service_performs_under_its_name(service: Api) -> None:
    """POD-4, OPS-24."""
    session_id = service.post(CREATE, {"user_id": "u1"}).json()["uuid"]
    chat(service, session_id)
    assert ChatMessage.objects.get().performer_id == "service.notes"


def test_unknown_hosts_are_refused(db: None) -> None:
    """As everywhere else: ALLOWED_HOSTS."""
    assert Client().get("/sessions", headers={"Host": "evil.example"}).status_code == 400


def test_delete_leaves_no_key(api: Api, session_id: str) -> None:
    """POD-27: what was signalled is gone, also from a list somebody else made."""
    redisdoor.call("rpush", f"baton:queue:{session_id}", "stray")
    assert api.delete(f"/session/{session_id}").status_code == 200
    assert session_id not in inbox.sessions_with_lists()
