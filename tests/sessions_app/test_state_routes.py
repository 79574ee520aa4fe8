"""The raw routes of states: the same answers as the documented views, and many writers at once (STA-8, STA-30)."""

import asyncio
import json
import re
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from django.core.management import call_command
from django.db import OperationalError

from config.asgi import application
from sessions_app import broadcast
from sessions_app.models import Session, StateVersion
from sessions_app.state import committer, known, reader, state_requests, state_routes, statestore
from sessions_app.state.loop_connection import LoopConnection
from tests.clients import Api, RawApi
from tests.factories import make_snapshot, make_token
from tests.processes import WebProcess

pytestmark = pytest.mark.django_db(transaction=True)

SID = "550e8400-e29b-41d4-a716-446655440000"
NAMED = {"session_id": SID, "user_id": "u1"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_EPOCH = re.compile(r'(?<="epoch":")[0-9a-f-]{36}')


@pytest.fixture
def raw_api() -> RawApi:
    """HTTP as `u1` through the ASGI application."""
    return RawApi(make_token("u1"))


def client() -> httpx.AsyncClient:
    """HTTP as `u1` for tests with an event loop of their own."""
    token = {"Authorization": f"Bearer {make_token('u1')}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://testserver", headers=token)


def body(**members: Any) -> bytes:
    return json.dumps(members).encode()


Request = tuple[str, str, bytes, dict[str, str]]
MERGE = {"Content-Type": "application/merge-patch+json"}
STORY: list[Request] = [
    ("GET", f"/session/{SID}", b"", {}),
    ("POST", "/session/snapshot", body(**NAMED, state_data={"a": 1, "o": {"x": 1}}, version=1, device_id="d1"), {}),
    ("GET", f"/session/{SID}", b"", {}),
    ("HEAD", f"/session/{SID}", b"", {}),
    ("POST", "/session/snapshot", body(**NAMED, state_data={"a": 1, "o": {"x": 1}}, version=1), {}),
    ("POST", "/session/incremental", body(**NAMED, base_version=1, changes={"a": 2}), {"X-Device-ID": "d2"}),
    ("POST", "/session/incremental", body(**NAMED, base_version=1, changes={"a": 3}), {}),
    ("POST", "/session/incremental", body(**NAMED, base_version=1), {}),
    (
        "POST",
        "/session/conflict/resolve",
        body(session_id=SID, client_version=1, client_state={"a": 5}, resolution_strategy="merge"),
        {"Idempotency-Key": "k1"},
    ),
    (
        "POST",
        "/session/conflict/resolve",
        body(session_id=SID, client_version=1, client_state={"a": 5}, resolution_strategy="merge"),
        {"Idempotency-Key": "k1"},
    ),
    ("POST", "/session/conflict/resolve", body(session_id=SID), {"Idempotency-Key": "k1"}),
    ("PATCH", f"/session/{SID}", b'{"p":1}', {"Content-Type": "application/merge-patch+json"}),
    ("PATCH", f"/session/{SID}", b'[{"op":"remove","path":"/z"}]', {"Content-Type": "application/json-patch+json"}),
    ("PATCH", f"/session/{SID}", b"{}", {"If-Match": '"x"', "Content-Type": "application/merge-patch+json"}),
    ("PATCH", f"/session/{SID}", b"{}", {}),
    ("GET", f"/session/{SID}?version=1", b"", {}),
    ("GET", f"/session/{SID}?version=x", b"", {}),
    ("GET", f"/session/{SID}?version=99", b"", {}),
    ("GET", f"/session/{SID}", b"", {"If-None-Match": "*"}),
    ("GET", f"/session/{SID}", b"", {"If-None-Match": "nonsense"}),
    ("GET", "/session/nonsense", b"", {}),
    ("GET", f"/session/{uuid.uuid4()}", b"", {}),
    ("GET", f"/session/{SID}/versions", b"", {}),
    ("GET", f"/session/{SID}/diff?from=1", b"", {}),
    ("DELETE", f"/session/{SID}", b"", {}),
    ("POST", "/session/snapshot", b'{"a":1,"a":1}', {}),
    ("POST", "/session/snapshot", b"[]", {}),
    ("POST", "/session/snapshot", b"{}", {"Content-Type": "text/plain"}),
    ("POST", "/session/snapshot", b"{}", {"Content-Encoding": "gzip"}),
    ("POST", "/session/snapshot", b" " * 2_097_153, {}),
    ("POST", "/session/snapshot", body(session_id=SID, user_id="u2", state_data={}), {}),
    ("POST", "/session/snapshot", body(**NAMED, state_data={"": 1}), {}),
    ("POST", "/session/snapshot", body(**NAMED, state_data={}), {"Authorization": "Bearer no"}),
    ("POST", "/session/snapshot", body(**NAMED, state_data={}), {"Idempotency-Key": ""}),
]


def told(answer: Any) -> tuple[int, Any, dict[str, str]]:
    """What may not differ between the doors."""
    text = _EPOCH.sub("<epoch>", _TIME.sub("<time>", answer.content.decode()))
    members = json.loads(text) if text else None
    if isinstance(members, dict):
        members.pop("request_id", None)
    names = ("content-type", "etag", "location", "idempotent-replayed", "accept-patch", "www-authenticate")
    found = {name.lower(): value for name, value in answer.headers.items()}
    return answer.status_code, members, {name: found[name] for name in names if name in found and answer.content}


def with_type(story: list[Request]) -> Iterator[tuple[str, str, bytes, dict[str, str]]]:
    """The clients take the media type as a parameter."""
    for method, path, data, headers in story:
        kept = {name: value for name, value in headers.items() if name != "Content-Type"}
        yield method, path, data, {"content_type": headers.get("Content-Type", "application/json"), **kept}


def test_raw_routes_answer_as_the_documented_views_do(raw_api):
    """STA-8: one story told through both doors, answer by answer."""
    raw = [told(raw_api.raw(method, path, data, **headers)) for method, path, data, headers in with_type(STORY)]
    call_command("flush", interactive=False, verbosity=0)
    api = Api(make_token("u1"))
    documented = [told(api.raw(method, path, data, **headers)) for method, path, data, headers in with_type(STORY)]

    for request, one, other in zip(STORY, raw, documented, strict=True):
        assert one == other, request[:2]


def incremental(session_id: str, base_version: int, **changes: Any) -> Request:
    """One write."""
    data = body(session_id=session_id, user_id="u1", base_version=base_version, changes=changes)
    return "POST", "/session/incremental", data, {"Content-Type": "application/json"}


def test_of_200_writers_with_one_base_version_one_wins(raw_api):
    """STA-30, STA-33: one 200, 199 times 409, each with the difference to the winner."""
    before = make_snapshot("u1", {"n": 0, "other": 1})

    found = raw_api.at_once([incremental(before.session_id, 1, n=number + 1) for number in range(200)])

    assert sorted(answer.status_code for answer in found) == [200] + [409] * 199
    [won] = [answer.json() for answer in found if answer.status_code == 200]
    conflicts = [answer.json()["conflict"] for answer in found if answer.status_code == 409]
    assert all(conflict["server_state"] == won["state_data"] for conflict in conflicts)
    assert all(conflict["server_checksum"] == won["checksum"] for conflict in conflicts)
    assert {tuple(conflict["conflicting_keys"]) for conflict in conflicts} == {("n",)}
    assert {(conflict["server_version"], conflict["client_version"]) for conflict in conflicts} == {(2, 1)}


def test_writes_without_a_demand_all_count(raw_api):
    """L1: N accepted writes leave version N; each its own version."""
    session_id = make_snapshot("u1").session_id
    patches = [("PATCH", f"/session/{session_id}", body(**{f"k{n}": n}), MERGE) for n in range(100)]

    found = raw_api.at_once(patches)

    assert sorted(answer.json()["version"] for answer in found) == list(range(2, 102))
    state = raw_api.get(f"/session/{session_id}").json()
    assert (state["version"], len(state["state_data"])) == (101, 100)
    assert list(StateVersion.objects.order_by("version").values_list("version", flat=True)) == list(range(1, 102))


def test_a_long_body_is_read_beside_the_event_loop(raw_api, monkeypatch):
    """STA-67: nobody else waits while two megabytes are parsed."""
    session_id = make_snapshot("u1").session_id
    threads: list[bool] = []
    read = state_requests.patch_state

    def watched(*arguments: Any) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return read(*arguments)

    monkeypatch.setattr(state_requests, "patch_state", watched)
    for length in (10, 100_000):
        found = raw_api.raw("PATCH", f"/session/{session_id}", body(a="x" * length), MERGE["Content-Type"])
        assert found.status_code == 200

    assert threads == [True, False]


def test_few_long_bodies_are_in_memory_as_objects_at_once(raw_api, monkeypatch):
    """STA-18: two megabytes of JSON become fifty of objects; the others wait as bytes."""
    session_id = make_snapshot("u1").session_id
    read, commit = state_requests.patch_state, committer.committed
    alive: list[int] = [0, 0]  # now, at most

    def watched(*arguments: Any) -> Any:
        alive[0] += 1
        alive[1] = max(alive)
        return read(*arguments)

    async def committed(operation: Any) -> Any:
        try:
            return await commit(operation)
        finally:
            alive[0] -= 1

    monkeypatch.setattr(state_requests, "patch_state", watched)
    monkeypatch.setattr(committer, "committed", committed)
    found = raw_api.at_once([("PATCH", f"/session/{session_id}", body(a="x" * 100_000), MERGE)] * 40)

    assert [answer.status_code for answer in found] == [200] * 40
    assert 1 < alive[1] <= state_routes.LONG_AT_ONCE


def test_a_list_in_several_header_lines_is_one_list():
    """STA-23: entity tags of If-Match may be spread over several lines (RFC 9110, 5.3), as Django reads them too."""
    before = make_snapshot("u1")
    path = f"/session/{before.session_id}"
    lines = [("If-Match", '"other"'), ("If-Match", before.etag), ("If-Match", '"another"'), *MERGE.items()]

    async def patched() -> httpx.Response:
        async with client() as one:
            try:
                return await one.patch(path, content=b'{"a":1}', headers=lines)
            finally:
                await committer.stop()

    assert asyncio.run(patched()).status_code == 200


def test_duplicates_at_once_are_one_write(raw_api):
    """STA-56, L2: concurrent duplicates wait for the first and then replay it."""
    session_id = make_snapshot("u1").session_id
    request = ("PATCH", f"/session/{session_id}", b'{"a":1}', {**MERGE, "Idempotency-Key": "once"})

    found = raw_api.at_once([request] * 50)

    assert {(answer.status_code, answer.content) for answer in found} == {(200, found[0].content)}
    assert sum("idempotent-replayed" in answer.headers for answer in found) == 49
    assert StateVersion.objects.filter(session_id=session_id).count() == 2


def test_first_writes_at_once_open_one_session(raw_api):
    """STA-5: one 201; the others follow in the session it opened."""
    session_id = str(uuid.uuid4())
    data = body(session_id=session_id, user_id="u1", state_data={"a": 1})

    found = raw_api.at_once([("POST", "/session/snapshot", data, {"Content-Type": "application/json"})] * 20)

    assert sorted(answer.status_code for answer in found) == [200] * 19 + [201]
    assert Session.objects.count() == 1


def test_readers_at_once_share_queries(raw_api):
    """STA-29: everyone gets the state that is current."""
    snapshots = [make_snapshot("u1", {"n": number}) for number in range(5)]
    requests: list[Request] = [("GET", f"/session/{snapshot.session_id}", b"", {}) for snapshot in snapshots * 20]

    found = raw_api.at_once(requests)

    assert [answer.json()["state_data"]["n"] for answer in found] == list(range(5)) * 20


def test_a_defect_of_the_reader_is_answered_and_it_goes_on(raw_api, monkeypatch):
    """Nobody waits for ever: not those who asked together, not those after them."""
    path = f"/session/{make_snapshot('u1').session_id}"
    read = LoopConnection.rows
    defects = [ZeroDivisionError()]

    async def rows(self: LoopConnection, *query: Any) -> Any:
        if defects:
            raise defects.pop()
        return await read(self, *query)

    async def asked_twice() -> list[int]:
        async with client() as one:
            try:
                return [(await asyncio.wait_for(one.get(path), 5)).status_code for _ in range(2)]
            finally:
                await reader.stop()

    monkeypatch.setattr(LoopConnection, "rows", rows)
    assert asyncio.run(asked_twice()) == [500, 200]


def test_a_user_has_so_many_requests_a_minute(raw_api, settings):
    """STA-14: headers on every answer, then 429 until the window ends."""
    settings.RATE_STATE = "3/m"
    found = [raw_api.get("/session/nonsense") for _ in range(4)]

    assert [answer.status_code for answer in found] == [400, 400, 400, 429]
    assert [answer["X-RateLimit-Remaining"] for answer in found] == ["2", "1", "0", "0"]
    assert 1 <= int(found[3]["Retry-After"]) <= 60
    assert RawApi(make_token("u2")).get("/session/nonsense").status_code == 400


@pytest.mark.parametrize(
    ("door", "name", "error"),
    [(LoopConnection, "rows", psycopg.OperationalError), (statestore, "write", OperationalError)],
    ids=["without the lock", "under the lock"],
)
def test_a_write_without_its_database_is_refused_and_repeatable(raw_api, monkeypatch, door, name, error):
    """STA-64: 503 with Retry-After, nothing applied, no frame sent."""
    before = make_snapshot("u1", {"n": 0})
    if door is statestore:
        known.forget([before.session_id])
    frames: list[Any] = []

    def lost(*arguments: Any) -> None:
        raise error("the connection is lost")

    monkeypatch.setattr(broadcast, "versions_committed", frames.extend)
    monkeypatch.setattr(door, name, lost)
    refused = raw_api.at_once([incremental(before.session_id, 1, n=1)])[0]
    monkeypatch.undo()

    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (503, "DATABASE_UNAVAILABLE", "1")
    assert frames == []
    assert raw_api.at_once([incremental(before.session_id, 1, n=1)])[0].json()["version"] == 2


def test_states_live_without_redis():
    """STA-66: writes and reads are correct, and nobody is limited."""
    token = {"Authorization": f"Bearer {make_token('u1')}"}
    session_id = str(uuid.uuid4())
    with WebProcess(REDIS_URL="redis://127.0.0.1:9/0", LOG_LEVEL="ERROR", RATE_STATE="1/d") as web:
        body = {"session_id": session_id, "user_id": "u1", "state_data": {"a": 1}}
        written = [web.post("/session/snapshot", body, **token).status_code for _ in range(3)]
        read = httpx.get(f"{web.url}/session/{session_id}", headers=token).json()

    assert written == [201, 200, 200]
    assert (read["version"], read["state_data"]) == (3, {"a": 1})
