"""The three strategies and the three-way walk (STA-36 to STA-46)."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions_app.state import merge
from sessions_app.state.canonical import same

KEYS = st.sampled_from(["a", "b", "c", "x/y", "~"])
LEAVES = st.sampled_from([0, 1, True, False, None, "t", [1], [True], []])
VALUES = st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=4), max_leaves=10)
STATES = st.dictionaries(KEYS, VALUES, max_size=5)


def merged(base, server, client, deleted=()):
    """The result of `merge` and its conflicts."""
    resolution = merge.resolve("merge", base=base, server=server, client=client, deleted_keys=deleted)
    return resolution.result, resolution.conflicts


def test_merge_of_the_worked_example_with_a_known_base():
    """STA-41."""
    base = {"a": 1, "b": 1, "c": 1, "o": {"x": 1, "y": 1}}
    server = {"a": 2, "b": 1, "o": {"x": 1, "y": 2}}
    client = {"a": 3, "b": 5, "c": 1, "o": {"x": 9, "y": 1}, "n": 0}

    result, conflicts = merged(base, server, client)

    assert result == {"a": 3, "b": 5, "n": 0, "o": {"x": 9, "y": 2}}
    assert conflicts == [{"path": "/a", "base": 1, "server": 2, "client": 3, "chosen": "client"}]


def test_merge_of_the_worked_example_with_an_unknown_base():
    """STA-42."""
    result, conflicts = merged(None, {"a": 2, "b": 1, "o": {"x": 1}}, {"a": 3, "o": {"y": 2}, "n": 0})

    assert result == {"a": 3, "b": 1, "n": 0, "o": {"x": 1, "y": 2}}
    assert conflicts == [
        {"path": "/a", "base": None, "server": 2, "client": 3, "chosen": "client", "base_absent": True}
    ]


def test_merge_of_an_edit_against_a_deletion():
    """STA-43."""
    result, conflicts = merged({"k": 1}, {}, {"k": 2})

    assert result == {"k": 2}
    assert conflicts == [
        {"path": "/k", "base": 1, "server": None, "client": 2, "chosen": "client", "server_absent": True}
    ]


def test_merge_of_a_deletion_against_an_edit():
    """STA-43, STA-39."""
    result, conflicts = merged({"k": 1}, {"k": 2}, {}, ["k"])

    assert result == {}
    assert conflicts == [
        {"path": "/k", "base": 1, "server": 2, "client": None, "chosen": "client", "client_absent": True}
    ]


@pytest.mark.parametrize(("base", "conflicts"), [({"k": 1}, 0), (None, 1), ({}, 1)])
def test_merge_deletes_without_conflict_only_what_the_server_left_alone(base, conflicts):
    """STA-39: s = b removes; an unknown base or another value is a conflict; an absent key is nothing."""
    assert merged(base, {"k": 1}, {}, ["k"])[0] == {}
    assert len(merged(base, {"k": 1}, {}, ["k"])[1]) == conflicts
    assert merged(base, {}, {}, ["k"]) == ({}, [])


@pytest.mark.parametrize(("strategy", "value"), [("server_wins", 80), ("client_wins", 85), ("merge", 85)])
def test_resolve_of_the_seed_example_has_no_conflict(strategy, value):
    """STA-46: the server is at the base, so only the client changed anything (row 4)."""
    state = {"meditation_progress": 80, "streak_days": 12}

    resolution = merge.resolve(strategy, base=state, server=state, client=state | {"meditation_progress": 85})

    assert resolution.result == state | {"meditation_progress": value}
    assert resolution.conflicts == []


def test_resolve_reports_the_same_conflicts_whatever_it_chooses():
    """STA-40: one walk for all strategies, sorted by code points of the pointer."""
    sides: dict[str, Any] = {
        "base": {"b": 1, "a/b": 1, "~": {"x": 0}},
        "server": {"b": 2, "a/b": 2, "~": {"x": 1}},
        "client": {"b": 3, "a/b": 3, "~": {"x": 2}},
    }

    by_strategy = {strategy: merge.resolve(strategy, **sides).conflicts for strategy in merge.STRATEGIES}

    assert [entry["path"] for entry in by_strategy["merge"]] == ["/a~1b", "/b", "/~0/x"]
    assert {entry["chosen"] for entry in by_strategy["server_wins"]} == {"server"}
    assert {entry["chosen"] for entry in by_strategy["client_wins"]} == {"client"}
    assert by_strategy["client_wins"] == by_strategy["merge"]


@given(STATES, STATES)
def test_merge_into_an_untouched_server_overlays_the_client(base, client):
    """STA-44: merge(B, B, C) is B overlaid with C."""
    result, conflicts = merged(base, base, client)

    assert same(result, overlaid(base, client))
    assert conflicts == []


@given(STATES, STATES)
def test_merge_of_an_unchanged_client_is_the_server(base, server):
    """STA-44: merge(B, S, B) = S."""
    assert same(merged(base, server, base)[0], server)
    assert merged(base, server, base)[1] == []


@given(STATES, STATES)
def test_merge_of_equal_sides_is_either(base, server):
    """STA-44: merge(B, S, S) = S."""
    assert same(merged(base, server, server)[0], server)
    assert merged(base, server, server)[1] == []


@given(STATES, STATES, STATES)
def test_merge_twice_is_merge_once(base, server, client):
    """STA-44: merging the result with the same client again changes nothing."""
    result = merged(base, server, client)[0]

    assert same(merged(base, result, client)[0], result)


@given(STATES, st.dictionaries(KEYS, VALUES), st.dictionaries(st.sampled_from(["m", "n"]), VALUES))
def test_merge_keeps_edits_on_disjoint_paths(base, server_edits, client_edits):
    """STA-44: edits of different keys both survive, without conflict."""
    result, conflicts = merged(base, base | server_edits, base | client_edits)

    assert same(result, base | server_edits | client_edits)
    assert conflicts == []


@settings(max_examples=400)
@given(st.none() | STATES, STATES, STATES, st.sets(KEYS, max_size=2))
def test_merge_equals_an_independent_reading_of_the_table(base, server, client, deleted):
    """STA-39, row by row, written a second time in another shape."""
    deleted -= client.keys()
    sides = copy.deepcopy((base, server, client))

    result, conflicts = merged(base, server, client, sorted(deleted))
    expected, paths = by_the_table(base, server, client, deleted)

    assert same(result, expected)
    assert [entry["path"] for entry in conflicts] == sorted(paths)
    assert (base, server, client) == sides


def overlaid(base: dict, client: dict) -> dict:
    """`client` over `base`: objects recurse, all else replaces."""
    result = dict(base)
    for key, value in client.items():
        mine = result.get(key)
        result[key] = overlaid(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
    return result


def by_the_table(base, server, client, deleted):
    """STA-39 over explicit (base, server, client) triples on a work list instead of a recursion."""
    missing = object()
    tree: dict = copy.deepcopy(server)
    paths = []
    work: list = [((key,), key, tree, base or {}, server, client[key]) for key in client]
    while work:
        path, key, target, b_object, s_object, c = work.pop()
        b, s = b_object.get(key, missing), s_object.get(key, missing)
        if equal(c, s, missing) or (base is not None and equal(c, b, missing)):
            continue
        if isinstance(c, dict) and isinstance(s, dict):
            inner = b if isinstance(b, dict) else {}
            work.extend(((*path, k), k, target[key], inner, s, c[k]) for k in c)
            continue
        clean = equal(s, b, missing) if base is not None else s is missing
        target[key] = copy.deepcopy(c)
        paths += [] if clean else ["".join("/" + k.replace("~", "~0").replace("/", "~1") for k in path)]
    for key in deleted & server.keys():
        del tree[key]
        if base is None or not equal(server[key], base.get(key, missing), missing):
            paths.append("/" + key.replace("~", "~0").replace("/", "~1"))
    return tree, paths


def equal(one: Any, other: Any, missing: object) -> bool:
    """Canonical equality by a normal form of tuples."""
    return one is other if one is missing or other is missing else normal(one) == normal(other)


def normal(value: Any) -> Any:
    """Nested tuples that differ exactly where canonical forms differ."""
    if isinstance(value, dict):
        return ("object", tuple(sorted((key, normal(item)) for key, item in value.items())))
    if isinstance(value, list):
        return ("array", tuple(map(normal, value)))
    return (type(value).__name__, str(value))
