"""POST /session/incremental and PATCH, with their conflicts (STA-31 to STA-35, STA-48 to STA-50)."""

import pytest

from tests.factories import make_session
from tests.states import SID, patch, refused, save, update


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
