"""POST /session/conflict/resolve (STA-36 to STA-47)."""

import pytest

from sessions_app.models import StateVersion
from tests.factories import make_session
from tests.states import SID, refused, resolve, save


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

    body = {"session_id": SID, "client_version": 1, "client_state": {"k": 2}, "resolution_strategy": "merge"} | over

    assert refused(api.post("/session/conflict/resolve", body)) == problem


def test_resolve_needs_a_state(api):
    """STA-35."""
    make_session("u1", exclusive=False, session_id=SID)

    assert refused(resolve(api, 0, {})) == (404, "SNAPSHOT_NOT_FOUND")
