"""The state endpoints, rule by rule (STA-7 to STA-54)."""

import datetime as dt
import json
import uuid
from typing import Any

import pytest
import time_machine

from sessions_app import clock, snapshots
from sessions_app.models import Session, StateVersion
from tests.clients import Api
from tests.factories import make_session, make_snapshot, make_token

SID = "550e8400-e29b-41d4-a716-446655440000"
SEED = {
    "session_id": SID,
    "user_id": "user-123",
    "state_data": {"meditation_progress": 75, "current_mood": "calm", "streak_days": 12},
    "device_id": "device-456",
    "app_version": "2.1.0",
    "version": 1,
}
SEED_UPDATE = {
    "session_id": SID,
    "user_id": "user-123",
    "device_id": "device-789",
    "base_version": 1,
    "changes": {"meditation_progress": 80},
    "deleted_keys": [],
}
SEED_RESOLVE = {
    "session_id": SID,
    "client_version": 2,
    "client_state": {"meditation_progress": 85},
    "resolution_strategy": "server_wins",
}
FIRST_SUM = "012957d383a26195e135b02039972a402c34a2b02bce9990ba9271133d059887"
SECOND_SUM = "c3c6f69ab0c2d12bc1f4d45111d65a90ea4b0c6c5403159966ac85104d06e3c9"


@pytest.fixture
def seed(db: None) -> Api:
    """The person of the seed's examples."""
    return Api(make_token("user-123"))


def save(api: Api, state: Any, session_id: str = SID, user_id: str = "u1", **over: Any) -> Any:
    """POST /session/snapshot."""
    return api.post("/session/snapshot", {"session_id": session_id, "user_id": user_id, "state_data": state, **over})


def update(api: Api, base_version: int, changes: Any = None, deleted: Any = None, **over: Any) -> Any:
    """POST /session/incremental."""
    body = {"session_id": SID, "user_id": "u1", "base_version": base_version}
    body |= {} if changes is None else {"changes": changes}
    body |= {} if deleted is None else {"deleted_keys": deleted}
    return api.post("/session/incremental", body | over)


def resolve(api: Api, client_version: int, client_state: Any, strategy: str = "merge", **over: Any) -> Any:
    """POST /session/conflict/resolve."""
    body = {"session_id": SID, "client_version": client_version, "client_state": client_state}
    return api.post("/session/conflict/resolve", body | {"resolution_strategy": strategy} | over)


def patch(api: Api, body: Any, kind: str = "merge", **headers: str) -> Any:
    """PATCH /session/{id}."""
    return api.raw("PATCH", f"/session/{SID}", json.dumps(body).encode(), f"application/{kind}-patch+json", **headers)


def refused(answer: Any) -> tuple[int, str]:
    """Status and code of a problem document."""
    assert answer["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_seed_examples_run_as_the_contract_says(seed):
    """STA-69: the seed's commands in their order, then the table."""
    created = seed.post("/session/snapshot", SEED)
    assert (created.status_code, created.json()["version"], created.json()["checksum"]) == (201, 1, FIRST_SUM)
    assert seed.get(f"/session/{SID}").json() == created.json()
    updated = seed.post("/session/incremental", SEED_UPDATE)
    assert (updated.status_code, updated.json()["version"], updated.json()["checksum"]) == (200, 2, SECOND_SUM)
    resolved = seed.post("/session/conflict/resolve", SEED_RESOLVE)
    assert (resolved.status_code, resolved.json()["version"], resolved.json()["changed"]) == (200, 2, False)

    stale = seed.post("/session/incremental", SEED_UPDATE | {"changes": {"meditation_progress": 90}})
    assert refused(stale) == (409, "VERSION_CONFLICT")
    assert stale.json()["conflict"]["conflicting_keys"] == ["meditation_progress"]
    merged = seed.post(
        "/session/conflict/resolve", SEED_RESOLVE | {"client_version": 1, "resolution_strategy": "merge"}
    )
    assert (merged.json()["version"], merged.json()["state_data"]["meditation_progress"]) == (3, 85)
    assert [(c["base"], c["server"], c["client"]) for c in merged.json()["conflicts"]] == [(75, 80, 85)]
    assert seed.get(f"/session/{SID}", **{"If-None-Match": merged["ETag"]}).status_code == 304
    first = seed.get(f"/session/{SID}?version=1").json()
    assert (first["state_data"]["meditation_progress"], first["checksum"]) == (75, FIRST_SUM)
    diff = seed.get(f"/session/{SID}/diff?from=1&to=3").json()
    assert (diff["changes"], diff["previous"]) == ({"meditation_progress": 85}, {"meditation_progress": 75})
    assert refused(seed.post("/session/snapshot", SEED)) == (409, "VERSION_CONFLICT")
    unconditional = {name: value for name, value in SEED.items() if name != "version"}
    again = seed.post("/session/snapshot", unconditional)
    assert (again.status_code, again.json()["version"]) == (200, 4)


def test_save_answers_the_whole_snapshot(seed):
    """STA-20, STA-22, STA-24, STA-25."""
    answer = seed.post("/session/snapshot", SEED)
    body = answer.json()

    assert answer["Location"] == f"/session/{SID}"
    assert answer["ETag"] == f'"1-{FIRST_SUM[:16]}"'
    assert answer["Cache-Control"] == "private, no-cache"
    assert body == {
        "session_id": SID,
        "user_id": "user-123",
        "state_data": SEED["state_data"],
        "version": 1,
        "epoch": str(uuid.UUID(body["epoch"])),
        "checksum": FIRST_SUM,
        "device_id": "device-456",
        "app_version": "2.1.0",
        "created_at": body["last_updated"],
        "last_updated": body["last_updated"],
        "expires_at": body["expires_at"],
        "compressed": False,
        "size_bytes": 65,
        "stored_bytes": 65,
    }


def test_save_opens_a_session_for_a_uuid_only(api):
    """STA-5: implicit, not exclusive, of the user named; an issued id is never created by a client."""
    assert save(api, {}).status_code == 201
    assert refused(save(api, {}, "sess_0123456789abcdef")) == (404, "SESSION_NOT_FOUND")

    session = Session.objects.get()
    assert (session.session_id, session.user_id, session.exclusive, session.is_active) == (SID, "u1", False, True)


def test_save_refused_opens_nothing(api):
    """STA-5: only an accepted write opens the session."""
    assert refused(save(api, {}, version=2)) == (409, "VERSION_CONFLICT")
    assert refused(save(api, {"": 1})) == (400, "INVALID_VALUE")

    assert not Session.objects.exists()


@pytest.mark.parametrize(
    ("version", "state", "status"),
    [
        (None, {"a": 2}, 200),
        (0, {"a": 2}, 200),
        (3, {"a": 2}, 200),
        (2, {"a": 1}, 200),
        (2, {"a": 2}, 409),
        (1, {}, 409),
    ],
)
def test_save_compares_the_version_it_is_to_become(api, version, state, status):
    """STA-21 at current version 2."""
    save(api, {"a": 0})
    save(api, {"a": 1})

    assert save(api, state, version=version).status_code == status


def test_save_of_the_same_state_again_makes_no_version(api):
    """STA-2, STA-21: the identical re-post."""
    first = save(api, {"a": 1, "b": 2.0}, version=1)
    again = save(api, {"b": 2, "a": 1.0}, version=1)

    assert (again.status_code, again.json()) == (200, first.json())
    assert StateVersion.objects.count() == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"1-ca978112ca1bbdca"'}, 412),
        ({"If-None-Match": "*"}, 412),
        ({"If-None-Match": '"1-ca978112ca1bbdca"'}, 200),
    ],
)
def test_writes_meet_their_preconditions(api, headers, status):
    """STA-23: on every write, before its version is looked at."""
    current = save(api, {"a": 1})["ETag"]

    assert patch(api, {"b": 1}, **headers).status_code == status
    assert patch(api, {"b": 1}, **{"If-Match": f'"x", W/{current}'}).status_code == (412 if status == 200 else 200)


def test_preconditions_without_a_state(api):
    """STA-23: `*` needs an existing state, If-None-Match needs none."""
    make_session("u1", exclusive=False, session_id=SID)

    assert refused(patch(api, {}, **{"If-Match": "*"})) == (412, "PRECONDITION_FAILED")
    assert patch(api, {}, **{"If-None-Match": "*"}).status_code == 200


def test_get_answers_304_for_a_version_the_reader_holds(api):
    """STA-26: W/ ignored, lists, `*`, with ?version, too."""
    tag = save(api, {"a": 1})["ETag"]
    save(api, {"a": 2})

    for offered in ("*", f'"0-0", W/{tag}'):
        answer = api.get(f"/session/{SID}?version=1", **{"If-None-Match": offered})
        assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", tag)
    assert api.get(f"/session/{SID}", **{"If-None-Match": tag}).status_code == 200


def test_get_of_an_earlier_version_shows_it_as_it_was(api):
    """STA-27: its own device, time and ETag."""
    first = save(api, {"a": 1, "gone": {"x": [1]}}, device_id="d1", app_version="1.0").json()
    update(api, 1, {"a": 2, "b": 3}, ["gone"], device_id="d2")
    save(api, {"z": 0}, device_id="d3", app_version="2.0")

    shown = api.get(f"/session/{SID}?version=1").json()
    assert shown == first | {"expires_at": shown["expires_at"]}
    assert api.get(f"/session/{SID}?version=2").json()["state_data"] == {"a": 2, "b": 3}
    assert api.get(f"/session/{SID}?version=2").json()["app_version"] == "1.0"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("?version=0", (400, "FIELD_INVALID")),
        ("?version=x", (400, "FIELD_INVALID")),
        ("?version=", (400, "FIELD_INVALID")),
        ("?version=1.0", (400, "FIELD_INVALID")),
        ("?version=%D9%A1", (400, "FIELD_INVALID")),
        ("?version=99999999999999999999", (400, "FIELD_INVALID")),
        ("?version=3", (404, "VERSION_NOT_FOUND")),
        ("/diff", (400, "FIELD_MISSING")),
        ("/diff?from=-1", (400, "FIELD_INVALID")),
        ("/diff?from=0&to=3", (404, "VERSION_NOT_FOUND")),
        ("/versions?limit=0", (400, "FIELD_INVALID")),
        ("/versions?limit=201", (400, "FIELD_INVALID")),
        ("/versions?before=x", (400, "FIELD_INVALID")),
    ],
)
def test_reads_refuse_what_is_no_version(api, query, problem):
    """STA-27, STA-53, STA-54."""
    save(api, {})
    save(api, {})

    assert refused(api.get(f"/session/{SID}{query}")) == problem


def test_old_versions_expire_from_history(api, settings):
    """STA-52, STA-27: the newest HISTORY_VERSIONS are kept."""
    settings.HISTORY_VERSIONS = 3
    for number in range(5):
        save(api, {"n": number})

    assert api.get(f"/session/{SID}?version=3").json()["state_data"] == {"n": 2}
    assert refused(api.get(f"/session/{SID}?version=2")) == (410, "VERSION_EXPIRED")
    assert refused(api.get(f"/session/{SID}/diff?from=2")) == (410, "VERSION_EXPIRED")
    assert api.get(f"/session/{SID}/versions").json()["oldest_version"] == 3


def test_history_is_cut_from_time_to_time(api, settings):
    """STA-52: rows go in batches; what is promised stays."""
    settings.HISTORY_VERSIONS = 3
    for number in range(65):
        save(api, {"n": number})

    assert StateVersion.objects.order_by("version").values_list("version", flat=True).first() == 62
    assert api.get(f"/session/{SID}?version=63").json()["state_data"] == {"n": 62}


def test_update_sets_and_deletes_whole_keys(api):
    """STA-31, STA-32."""
    save(api, {"a": {"x": 1}, "b": 1, "c": 1}, app_version="9")
    answer = update(api, 1, {"a": {"y": 2}, "n": None, "b": 1}, ["c", "absent"])

    assert answer.json()["state_data"] == {"a": {"y": 2}, "n": None, "b": 1}
    assert answer.json()["applied"] == {"changed": ["a", "b", "n"], "deleted": ["c"]}
    assert (answer.json()["version"], answer.json()["app_version"], answer["ETag"][:3]) == (2, "9", '"2-')


def test_update_of_a_session_without_a_state_starts_at_zero(api):
    """STA-30: base_version 0."""
    make_session("u1", exclusive=False, session_id=SID)

    assert refused(update(api, 1, {"a": 1})) == (409, "VERSION_CONFLICT")
    assert update(api, 0, {"a": 1}).json()["version"] == 1


def test_update_opens_no_session(api):
    """STA-5: only the snapshot does."""
    assert refused(update(api, 0, {"a": 1})) == (404, "SESSION_NOT_FOUND")


@pytest.mark.parametrize(("changes", "deleted"), [(None, None), ({}, []), ({"a": 1}, ["a"])])
def test_update_refuses_no_effect_and_two(api, changes, deleted):
    """STA-31."""
    save(api, {})

    assert refused(update(api, 1, changes, deleted)) == (400, "INVALID_UPDATE")


def test_conflict_names_what_changed_on_both_sides(api):
    """STA-33: keys of the request that changed since client_version, and the server's state."""
    save(api, {"a": 1, "b": 1, "c": 1})
    current = update(api, 1, {"a": 2, "b": 1}, ["c"])

    problem = update(api, 1, {"a": 3, "b": 2}, ["c", "z"]).json()
    assert problem["conflict"] == {
        "server_version": 2,
        "client_version": 1,
        "epoch": current.json()["epoch"],
        "server_state": {"a": 2, "b": 1},
        "server_checksum": current.json()["checksum"],
        "conflicting_keys": ["a", "c"],
    }


def test_conflict_with_an_unknown_version_compares_values(api):
    """STA-33: keys the request would set or delete to something other than the server's value."""
    save(api, {"a": 1, "b": 1})

    assert update(api, 7, {"a": 1.0, "b": 2, "n": 1}, ["z"]).json()["conflict"]["conflicting_keys"] == ["b", "n"]


def test_conflict_of_a_snapshot_counts_from_the_version_before(api):
    """STA-33 with its clarification: version - 1."""
    save(api, {"a": 1, "b": 1, "c": 1})
    save(api, {"a": 2, "b": 1, "c": 1})

    conflict = save(api, {"a": 3, "b": 3, "c": 1}, version=2).json()["conflict"]
    assert (conflict["client_version"], conflict["conflicting_keys"]) == (2, ["a"])


def test_conflict_comes_before_the_values(api):
    """STA-8: 409 version before 400 value."""
    save(api, {"a": 1})

    assert refused(update(api, 5, {"a": 2**60 + 1})) == (409, "VERSION_CONFLICT")
    assert refused(save(api, {"": 1}, version=1)) == (409, "VERSION_CONFLICT")


def test_resolve_answers_the_snapshot_and_how_it_came_about(api):
    """STA-41, STA-45, STA-47."""
    save(api, {"a": 1, "b": 1, "c": 1, "o": {"x": 1, "y": 1}})
    save(api, {"a": 2, "b": 1, "o": {"x": 1, "y": 2}})
    body = resolve(api, 1, {"a": 3, "b": 5, "c": 1, "o": {"x": 9, "y": 1}, "n": 0}).json()

    assert body["state_data"] == body["resolved_state"] == {"a": 3, "b": 5, "n": 0, "o": {"x": 9, "y": 2}}
    assert body["conflicts"] == [{"path": "/a", "base": 1, "server": 2, "client": 3, "chosen": "client"}]
    assert (body["version"], body["changed"], body["base"], body["client_version"]) == (3, True, "known", 1)
    assert body["resolution_strategy"] == "merge"


def test_resolve_that_changes_nothing_makes_no_version(api):
    """STA-47."""
    save(api, {"a": 1})
    body = resolve(api, 1, {"a": 2}, "server_wins").json()

    assert (body["version"], body["changed"], body["state_data"]) == (1, False, {"a": 1})
    assert StateVersion.objects.count() == 1


@pytest.mark.parametrize("client_version", [0, 9])
def test_resolve_without_a_kept_base_says_so(api, client_version):
    """STA-37, STA-42."""
    save(api, {"a": 2, "b": 1, "o": {"x": 1}})
    body = resolve(api, client_version, {"a": 3, "o": {"y": 2}, "n": 0}).json()

    assert (body["base"], body["state_data"]) == ("unknown", {"a": 3, "b": 1, "n": 0, "o": {"x": 1, "y": 2}})
    assert [entry["path"] for entry in body["conflicts"]] == ["/a"]


def test_resolve_deletes_named_keys(api):
    """STA-38, STA-39."""
    save(api, {"k": 1, "other": 1})
    body = resolve(api, 1, {}, deleted_keys=["k"]).json()

    assert (body["state_data"], body["conflicts"]) == ({"other": 1}, [])


@pytest.mark.parametrize(
    ("over", "problem"),
    [
        ({"resolution_strategy": "server-wins"}, (400, "UNKNOWN_STRATEGY")),
        ({"resolution_strategy": "MERGE"}, (400, "UNKNOWN_STRATEGY")),
        ({"resolution_strategy": "client_wins", "deleted_keys": ["a"]}, (400, "FIELD_FORBIDDEN")),
        ({"resolution_strategy": "merge", "deleted_keys": ["k"]}, (400, "INVALID_UPDATE")),
        ({"deleted_keys": ["a", "a"]}, (400, "FIELD_INVALID")),
        ({"client_state": {"a": "\0"}}, (400, "INVALID_VALUE")),
        ({"session_id": "sess_0123456789abcdef"}, (404, "SESSION_NOT_FOUND")),
    ],
)
def test_resolve_refuses_what_it_cannot_mean(api, over, problem):
    """STA-35, STA-38."""
    save(api, {"k": 1})

    body = SEED_RESOLVE | {"client_version": 1, "client_state": {"k": 2}, "resolution_strategy": "merge"} | over

    assert refused(api.post("/session/conflict/resolve", body)) == problem


def test_resolve_needs_a_state(api):
    """STA-35."""
    make_session("u1", exclusive=False, session_id=SID)

    assert refused(resolve(api, 0, {})) == (404, "SNAPSHOT_NOT_FOUND")


def test_patch_merges_by_rfc_7396(api):
    """STA-48, STA-49, STA-51: from version 0 on; an empty patch makes a version."""
    make_session("u1", exclusive=False, session_id=SID)

    assert patch(api, {"a": {"x": 1, "y": None}}).json()["state_data"] == {"a": {"x": 1}}
    assert patch(api, {"a": {"x": None}, "b": 1}).json()["applied"] == {"changed": ["a", "b"], "deleted": []}
    assert patch(api, {}).json()["version"] == 3


def test_patch_applies_all_operations_or_none(api):
    """STA-50."""
    save(api, {"streak_days": 12})
    test = {"op": "test", "path": "/streak_days", "value": 12}

    done = patch(api, [test, {"op": "replace", "path": "/streak_days", "value": 13}], "json")
    failed = patch(api, [{"op": "remove", "path": "/streak_days"}, test], "json")

    assert (done.json()["version"], done.json()["state_data"]) == (2, {"streak_days": 13})
    assert (*refused(failed), failed.json()["operation_index"]) == (409, "PATCH_TEST_FAILED", 1)


def test_patch_of_another_type_names_the_two_it_reads(api):
    """STA-48."""
    save(api, {})
    answer = api.raw("PATCH", f"/session/{SID}", b"{}")

    assert refused(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert answer["Accept-Patch"] == "application/merge-patch+json, application/json-patch+json"


def test_versions_are_listed_newest_first(api):
    """STA-53."""
    save(api, {"a": 1}, device_id="d1")
    update(api, 1, {"b": 2}, ["a"], device_id="d2")
    patch(api, {"c": 1})
    page = api.get(f"/session/{SID}/versions?limit=2").json()

    assert (page["current_version"], page["oldest_version"], page["next_before"]) == (3, 1, 2)
    assert [v["version"] for v in page["versions"]] == [3, 2]
    entry = page["versions"][1]
    assert (entry["source"], entry["device_id"], entry["performer_id"], entry["op_id"]) == (
        "incremental",
        "d2",
        "u1",
        None,
    )
    assert (entry["keys_changed"], entry["keys_deleted"], entry["size_bytes"]) == (["b"], ["a"], 7)
    last = api.get(f"/session/{SID}/versions?limit=2&before=2").json()
    assert ([v["version"] for v in last["versions"]], last["next_before"]) == ([1], None)


@pytest.mark.parametrize(("start", "end"), [(0, 3), (1, 3), (3, 1), (2, 2), (3, 0)])
def test_difference_leads_from_one_version_to_the_other(api, start, end):
    """STA-54: setting `changes` and removing `deleted_keys` gives exactly the other state."""
    states = [{}, {"a": 1, "b": 1}, {"a": 2, "c": [1]}, {"b": 1, "c": [1]}]
    for state in states[1:]:
        save(api, state)
    diff = api.get(f"/session/{SID}/diff?from={start}&to={end}").json()

    reached = {**states[start], **diff["changes"]}
    assert {key: value for key, value in reached.items() if key not in diff["deleted_keys"]} == states[end]
    touched = {*diff["changes"], *diff["deleted_keys"]} & states[start].keys()
    assert diff["previous"] == {key: states[start][key] for key in touched}


def test_states_over_4096_bytes_are_stored_compressed(api):
    """STA-19: only storage knows; the answer is plain JSON and the checksum of the plain text."""
    state = {"text": "calm " * 2000}
    body = save(api, state).json()

    assert (body["compressed"], body["size_bytes"]) == (True, 10_011)
    assert body["stored_bytes"] < 1000
    update(api, 1, {"n": 1})
    assert api.get(f"/session/{SID}").json()["state_data"] == state | {"n": 1}
    assert api.get(f"/session/{SID}?version=1").json() | {"expires_at": 0} == body | {"expires_at": 0}


def test_numbers_come_back_in_canonical_spelling(api):
    """STA-17 and its clarification."""
    body = (
        b'{"session_id":"%b","user_id":"u1","state_data":{"a":1.0,"b":1e2,"c":100000000000000000,"d":9007199254740992}}'
    )
    assert api.raw("POST", "/session/snapshot", body % SID.encode()).status_code == 201
    text = api.get(f"/session/{SID}").content.decode()

    assert '"state_data":{"a":1,"b":100,"c":100000000000000000,"d":9007199254740992}' in text


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ('{"a":9007199254740993}', (400, "INVALID_VALUE")),
        ('{"a":1e999}', (400, "INVALID_VALUE")),
        ('{"a":"\\ud800"}', (400, "INVALID_VALUE")),
        ('{"\\udfff":1}', (400, "INVALID_VALUE")),
        ('{"a":"\\u0000"}', (400, "INVALID_VALUE")),
        ('{"":1}', (400, "INVALID_VALUE")),
        ('{"a":NaN}', (400, "MALFORMED_JSON")),
        ('{"a":1,"a":1}', (400, "MALFORMED_JSON")),
        ('{"a":"\xff"}', (400, "MALFORMED_JSON")),
        ("{} x", (400, "MALFORMED_JSON")),
        ("[]", (400, "FIELD_INVALID")),
        ("null", (400, "FIELD_MISSING")),
        ('{"a":' * 33 + "1" + "}" * 33, (400, "TOO_DEEP")),
        ('{"a":' * 5000 + "1" + "}" * 5000, (400, "TOO_DEEP")),
        ('{"a":"' + "x" * 1_048_576 + '"}', (413, "STATE_TOO_LARGE")),
        ("{" + ",".join(f'"k{i}":0' for i in range(10_001)) + "}", (413, "STATE_TOO_LARGE")),
        ('{"a":"' + "x" * 2_097_152 + '"}', (413, "BODY_TOO_LARGE")),
    ],
)
def test_save_refuses_hostile_states(api, state, problem):
    """STA-10, STA-17, STA-18."""
    body = f'{{"session_id":"{SID}","user_id":"u1","state_data":{state}}}'

    assert refused(api.raw("POST", "/session/snapshot", body.encode("latin-1"))) == problem


@pytest.mark.parametrize(
    ("over", "code", "field"),
    [
        ({"session_id": "550E8400-E29B-41D4-A716-446655440000"}, "SESSION_ID_INVALID", "session_id"),
        ({"session_id": None}, "FIELD_MISSING", "session_id"),
        ({"user_id": ".."}, "FIELD_INVALID", "user_id"),
        ({"user_id": 5}, "FIELD_INVALID", "user_id"),
        ({"state_data": "{}"}, "FIELD_INVALID", "state_data"),
        ({"device_id": "a/b"}, "FIELD_INVALID", "device_id"),
        ({"app_version": "v" * 65}, "FIELD_INVALID", "app_version"),
        ({"app_version": "\ud800"}, "FIELD_INVALID", "app_version"),
        ({"version": -1}, "FIELD_INVALID", "version"),
        ({"version": True}, "FIELD_INVALID", "version"),
        ({"version": 1.0}, "FIELD_INVALID", "version"),
        ({"roles": ["admin"]}, "FIELD_UNKNOWN", "roles"),
        ({"\ud800": 1}, "FIELD_UNKNOWN", "?"),
    ],
)
def test_save_refuses_malformed_members(api, over, code, field):
    """STA-1, STA-10, CON-5."""
    answer = save(api, {}, **over)

    assert refused(answer) == (400, code)
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("content_type", ["text/plain", "application/json; charset=utf-16", "", "application/jsonx"])
def test_writes_refuse_other_media(api, content_type):
    """STA-10."""
    assert refused(api.raw("POST", "/session/snapshot", b"{}", content_type)) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_writes_accept_a_charset_and_refuse_an_encoding(api):
    """STA-10, STA-19."""
    body = json.dumps({"session_id": SID, "user_id": "u1", "state_data": {}}).encode()

    assert api.raw("POST", "/session/snapshot", body, 'application/json; charset="UTF-8"').status_code == 201
    gzipped = api.raw("POST", "/session/snapshot", body, **{"Content-Encoding": "gzip"})
    assert refused(gzipped) == (415, "UNSUPPORTED_MEDIA_TYPE")


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


def test_a_bad_id_in_the_path_is_400(api):
    """STA-1."""
    for path in ("..", "SESS_0123456789abcdef", "x" * 200, "550e8400-e29b-41d4-a716-44665544000g"):
        assert refused(api.get(f"/session/{path}"))[0] in (400, 404)
    assert refused(api.get("/session/nonsense")) == (400, "SESSION_ID_INVALID")


def test_snapshot_factory_matches_the_endpoint(db):
    """Other tests build on it."""
    assert make_snapshot("u1", {"a": 1}).canonical == b'{"a":1}'


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
