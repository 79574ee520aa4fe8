"""The seed's examples of states, from end to end (STA-20 to STA-25, STA-69)."""

import uuid

import pytest

from tests.clients import Api
from tests.factories import make_token
from tests.states import SID, refused

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
