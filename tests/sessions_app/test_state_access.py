"""Whose states a caller sees and writes, and for how long (STA-7 to STA-12, STA-57 to STA-61)."""

import datetime as dt
import uuid
from typing import Any

import pytest
import time_machine

from sessions_app import clock, snapshots
from sessions_app.models import StateVersion
from sessions_app.state import held, known, rows, versions
from tests.clients import Api
from tests.factories import make_session, make_token
from tests.states import SID, patch, refused, resolve, save, update


def every_call(api: Api, session_id: str = SID, user_id: str = "u2") -> list[Any]:
    """One request to each endpoint of a state."""
    ours = {"session_id": session_id, "user_id": user_id}
    return [
        update(api, 1, {"a": 1}, **ours),
        resolve(api, 1, {}, session_id=session_id),
        api.raw("PATCH", f"/session/{session_id}", b"{}", "application/merge-patch+json"),
        api.get(f"/session/{session_id}"),
        api.get(f"/session/{session_id}?version=1"),
        api.get(f"/session/{session_id}/versions"),
        api.get(f"/session/{session_id}/diff?from=1"),
    ]


def test_a_foreign_session_looks_unknown(api):
    """STA-9: the same answer, member for member, in every endpoint."""
    other = Api(make_token("u2"))
    save(api, {})

    foreign = [answer.json() | {"request_id": ""} for answer in (save(other, {}, user_id="u2"), *every_call(other))]
    unknown = [answer.json() | {"request_id": ""} for answer in every_call(other, str(uuid.uuid4()))]

    assert (foreign[0]["status"], foreign[0]["code"]) == (404, "SESSION_NOT_FOUND")
    assert all(answer == foreign[0] for answer in foreign + unknown)


def test_a_foreign_state_is_not_even_unpacked(api, monkeypatch):
    """STA-9, CON-7: a large one would take ten times as long to refuse, and so be told from an unknown one."""
    save(api, {"text": "x" * 100_000})
    known.forget([SID])
    unpacked: list[int] = []

    def watched(data: bytes, size_bytes: int) -> bytes:
        unpacked.append(size_bytes)
        return versions.unpacked(data, size_bytes)

    monkeypatch.setattr(rows, "unpacked", watched)
    monkeypatch.setattr(held, "unpacked", watched)

    other = Api(make_token("u2"))
    assert {answer.status_code for answer in (save(other, {}, user_id="u2"), *every_call(other))} == {404}
    assert unpacked == []
    assert {answer.status_code for answer in every_call(api, user_id="u1")[1:]} == {200}
    assert unpacked


def test_a_body_may_only_name_its_own_user(api):
    """STA-7, STA-8: 403 before 404."""
    assert refused(save(api, {}, user_id="u2")) == (403, "USER_NOT_ALLOWED")
    assert refused(update(api, 1, {"a": 1}, user_id="u2")) == (403, "USER_NOT_ALLOWED")


def test_a_carer_and_a_service_act_for_anyone(api, carer, service):
    """STA-7: but the user named must own the session; who acted stands in the log."""
    save(api, {})
    assert update(carer, 1, {"a": 1}).status_code == 200
    assert patch(service, {"b": 1}).status_code == 200
    assert refused(update(carer, 3, {"a": 1}, user_id="u2")) == (404, "SESSION_NOT_FOUND")

    assert [v.performer_id for v in StateVersion.objects.order_by("version")] == ["u1", "carer01", "system"]


def test_endpoints_need_a_credential(db):
    """STA-7."""
    for answer in every_call(Api()):
        assert refused(answer) == (401, "UNAUTHENTICATED")


def test_an_open_house_acts_as_the_user_named_or_the_owner(db, settings):
    """STA-7: AUTH_REQUIRED=false."""
    settings.AUTH_REQUIRED = False
    nobody = Api()
    save(nobody, {})
    patch(nobody, {"a": 1})

    assert [v.performer_id for v in StateVersion.objects.order_by("version")] == ["u1", "u1"]
    assert nobody.get(f"/session/{SID}").status_code == 200


@pytest.mark.parametrize(
    ("body", "claim", "header", "expected"),
    [("b1", "c1", "h1", "b1"), (None, "c1", "h1", "c1"), (None, None, "h1", "h1"), (None, None, None, None)],
)
def test_the_writing_device_is_body_then_token_then_header(db, body, claim, header, expected):
    """STA-12."""
    api = Api(make_token("u1", device_id=claim))
    headers = {"X-Device-ID": header} if header else {}
    members = {"session_id": SID, "user_id": "u1", "state_data": {}, "device_id": body}

    assert api.post("/session/snapshot", members, **headers).json()["device_id"] == expected


def test_an_ended_session_refuses_writes_and_stays_readable(api):
    """STA-6."""
    save(api, {"a": 1})
    end = {"user_id": "u1", "performer_id": "u1", "session_id": SID, "schema_version": "1.0.1"}
    assert api.post("/session_manager/sessions.end", end | {"record_id": str(uuid.uuid4())}).status_code == 200

    for answer in (save(api, {}), update(api, 1, {"b": 1}), resolve(api, 1, {}), patch(api, {})):
        assert refused(answer) == (409, "SESSION_ALREADY_CLOSED")
    assert api.get(f"/session/{SID}").json()["state_data"] == {"a": 1}


def test_a_session_without_a_state_has_no_snapshot(api):
    """STA-28."""
    make_session("u1", exclusive=False, session_id=SID)

    for path in ("", "?version=1", "/versions", "/diff?from=0"):
        assert refused(api.get(f"/session/{SID}{path}")) == (404, "SNAPSHOT_NOT_FOUND")


def test_a_state_expires_and_is_erased(api):
    """STA-58 to STA-60: 410 from its last moment on, 404 after the sweep; a new snapshot starts anew."""
    with time_machine.travel(clock.now() - dt.timedelta(days=8)):
        epoch = save(Api(make_token("u1")), {"a": 1}).json()["epoch"]
    ways = ("", "?version=1", "/versions", "/diff?from=0")

    assert {refused(api.get(f"/session/{SID}{way}")) for way in ways} == {(410, "SNAPSHOT_EXPIRED")}
    assert "server_state" not in api.get(f"/session/{SID}").content.decode()
    assert refused(update(api, 1, {"a": 2})) == refused(patch(api, {})) == (410, "SNAPSHOT_EXPIRED")
    with time_machine.travel(clock.now() + dt.timedelta(days=7)):
        assert snapshots.sweep() == 1
    assert {refused(api.get(f"/session/{SID}{way}")) for way in ways} == {(404, "SNAPSHOT_NOT_FOUND")}
    anew = save(api, {"b": 1}, version=1)
    assert (anew.status_code, anew.json()["version"], anew.json()["epoch"] == epoch) == (201, 1, False)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/session/{SID}", 404),
        ("/session/None", 400),
        (f"/session/{SID}/versions", 404),
        (f"/session/{SID}/devices", 404),
        (f"/session/{SID}/handoff/{'0' * 64}", 404),
    ],
)
def test_a_refusal_is_as_private_as_an_answer(api, path, status):
    """STA-13: caches would keep a 404 or a 410 of their own accord, past the write that ends it (STA-29)."""
    answer = api.get(path)
    assert (answer.status_code, answer["Cache-Control"]) == (status, "private, no-cache")
