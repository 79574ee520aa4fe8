"""Reading states, their history and differences (STA-26 to STA-30, STA-51, STA-52)."""

import pytest

from sessions_app.models import StateVersion
from tests.states import SID, patch, refused, save, update


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
