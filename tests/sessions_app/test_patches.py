"""What operations do to a state (STA-31, STA-48 to STA-50, DEV-36)."""

import copy
import json

import jsonpatch
import jsonpointer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions_app.kinds import DomainError
from sessions_app.state import canonical, jsonpatching, patches
from sessions_app.state.state_errors import (
    InvalidPatch,
    InvalidUpdate,
    InvalidValue,
    PatchNotApplicable,
    PatchTestFailed,
    StateTooLarge,
    TooDeep,
    UnknownOperation,
)

KEYS = st.sampled_from(["a", "b", "0", "~x", "y/z"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, "", "é"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
STATES = st.dictionaries(KEYS, VALUES, max_size=4)


def after(verb, state, *arguments):
    """The data a verb makes of `state`."""
    document = canonical.document(state)
    return verb(document, *arguments).apply(document).data()


def json_patched(state, *operations):
    return after(patches.json_patch, state, list(operations))


def test_update_sets_whole_keys_and_removes_others():
    """STA-31: no deep merge, null is stored, an absent key may be removed."""
    state = {"a": {"x": 1}, "b": 2, "c": 3}

    assert after(patches.update, state, {"a": {"y": 1}, "b": None}, ["c", "absent"]) == {"a": {"y": 1}, "b": None}


def test_update_reports_what_it_touched():
    """STA-32: equal values count as changed, absent keys not as deleted."""
    change = patches.update(canonical.document({"a": 1, "b": 2}), {"a": 1}, ["z", "b"])

    assert (list(change.changed), change.deleted) == (["a"], ["b"])


@pytest.mark.parametrize(("changes", "deleted"), [({}, []), ({"a": 1}, ["a"])])
def test_update_refuses_nothing_and_contradiction(changes, deleted):
    """STA-31."""
    with pytest.raises(InvalidUpdate):
        patches.update(canonical.EMPTY, changes, deleted)


def test_between_names_only_what_differs():
    """STA-33: a snapshot sets or removes the keys that differ from the server's state."""
    change = patches.between(canonical.document({"a": 1, "b": 2, "c": 3}), canonical.document({"a": 1, "b": 3, "d": 4}))

    assert (list(change.changed), change.deleted) == (["b", "d"], ["c"])


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": 1}, {}, {"a": 1}),
    ],
)
def test_merge_patch_follows_the_examples_of_rfc_7396(target, patch, result):
    """STA-49, RFC 7396 appendix A."""
    assert after(patches.merge_patch, target, patch) == result


@pytest.mark.parametrize("patch", [[], "x", 1, None, True, [{"a": 1}]])
def test_merge_patch_refuses_what_is_not_an_object(patch):
    """STA-49."""
    with pytest.raises(InvalidPatch):
        patches.merge_patch(canonical.EMPTY, patch)


def test_merge_patch_refuses_a_depth_bomb():
    """STA-18: refused before anything recurses into it."""
    patch: object = {}
    for _ in range(900):
        patch = {"a": patch}

    with pytest.raises(TooDeep):
        patches.merge_patch(canonical.EMPTY, patch)


@pytest.mark.parametrize(
    ("state", "operation", "result"),
    [
        ({"foo": "bar"}, {"op": "add", "path": "/baz", "value": "qux"}, {"foo": "bar", "baz": "qux"}),
        ({"foo": ["bar"]}, {"op": "add", "path": "/foo/0", "value": "q"}, {"foo": ["q", "bar"]}),
        ({"foo": ["bar"]}, {"op": "add", "path": "/foo/-", "value": ["a"]}, {"foo": ["bar", ["a"]]}),
        ({"baz": 1, "foo": 2}, {"op": "remove", "path": "/baz"}, {"foo": 2}),
        ({"foo": [1, 2, 3]}, {"op": "remove", "path": "/foo/1"}, {"foo": [1, 3]}),
        ({"baz": 1}, {"op": "replace", "path": "/baz", "value": None}, {"baz": None}),
        ({"foo": [1, 2]}, {"op": "replace", "path": "/foo/1", "value": 3}, {"foo": [1, 3]}),
        ({"a": {"x": 1}, "b": {}}, {"op": "move", "from": "/a/x", "path": "/b/y"}, {"a": {}, "b": {"y": 1}}),
        ({"foo": [1, 2, 3]}, {"op": "move", "from": "/foo/0", "path": "/foo/2"}, {"foo": [2, 3, 1]}),
        ({"a": {"x": [1]}}, {"op": "copy", "from": "/a", "path": "/b"}, {"a": {"x": [1]}, "b": {"x": [1]}}),
        ({"a": 1}, {"op": "move", "from": "/a", "path": "/a"}, {"a": 1}),
        ({"a": 1}, {"op": "add", "path": "", "value": {"b": 2}}, {"b": 2}),
        ({"a": {"b": 2}}, {"op": "copy", "from": "/a", "path": ""}, {"b": 2}),
        ({"~1": 10, "/": 9}, {"op": "test", "path": "/~01", "value": 10.0}, {"~1": 10, "/": 9}),
        ({"a": 1}, {"op": "add", "path": "/b", "value": 1.0, "comment": "ignored"}, {"a": 1, "b": 1}),
    ],
)
def test_json_patch_follows_rfc_6902(state, operation, result):
    """STA-50, RFC 6902 section 4 and appendix A."""
    assert json_patched(state, operation) == result


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": True},
        {"op": "test", "path": "/a", "value": "1"},
        {"op": "test", "path": "/absent", "value": None},
        {"op": "test", "path": "/list/-", "value": 1},
    ],
)
def test_json_patch_says_which_test_failed(operation):
    """STA-50: 409 PATCH_TEST_FAILED with operation_index; true is not 1."""
    with pytest.raises(PatchTestFailed) as refused:
        json_patched({"a": 1, "list": [1]}, {"op": "test", "path": "/a", "value": 1}, operation)

    assert refused.value.members == {"operation_index": 1}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/absent"},
        {"op": "remove", "path": ""},
        {"op": "remove", "path": "/list/-"},
        {"op": "remove", "path": "/list/1"},
        {"op": "replace", "path": "/absent", "value": 1},
        {"op": "replace", "path": "/list/-", "value": 1},
        {"op": "add", "path": "/absent/x", "value": 1},
        {"op": "add", "path": "/list/2", "value": 1},
        {"op": "add", "path": "/list/01", "value": 1},
        {"op": "add", "path": "/list/x", "value": 1},
        {"op": "add", "path": "/a/x", "value": 1},
        {"op": "add", "path": "/text/0", "value": 1},
        {"op": "copy", "from": "/absent", "path": "/b"},
        {"op": "copy", "from": "/list/-", "path": "/b"},
        {"op": "move", "from": "/list/-/x", "path": "/b"},
        {"op": "move", "from": "/absent", "path": "/absent"},
    ],
)
def test_json_patch_says_which_pointer_leads_nowhere(operation):
    """STA-50: 409 PATCH_NOT_APPLICABLE with operation_index."""
    with pytest.raises(PatchNotApplicable) as refused:
        json_patched({"a": 1, "list": [1], "text": "t"}, {"op": "add", "path": "/b", "value": 1}, operation)

    assert refused.value.members == {"operation_index": 1}


@pytest.mark.parametrize(
    "operation",
    [
        7,
        {},
        {"op": "spread", "path": "/a"},
        {"op": ["add"], "path": "/a", "value": 1},
        {"op": "add", "path": "/a"},
        {"op": "add", "value": 1},
        {"op": "add", "path": "a", "value": 1},
        {"op": "add", "path": "/~2", "value": 1},
        {"op": "add", "path": 1, "value": 1},
        {"op": "copy", "path": "/a"},
        {"op": "copy", "from": None, "path": "/a"},
        {"op": "move", "from": "/a", "path": "/a/b"},
        {"op": "move", "from": "", "path": "/a"},
    ],
)
def test_json_patch_refuses_malformed_operations_before_applying_any(operation):
    """STA-50: 400 INVALID_PATCH, even where an earlier operation would have failed."""
    with pytest.raises(InvalidPatch) as refused:
        json_patched({"a": 1}, {"op": "remove", "path": "/absent"}, operation)

    assert refused.value.members == {"operation_index": 1}


@pytest.mark.parametrize("patch", [{}, [], None, "[]", [{"op": "test", "path": "/a", "value": 1}] * 501])
def test_json_patch_is_an_array_of_1_to_500_operations(patch):
    """STA-18, STA-50."""
    with pytest.raises(InvalidPatch):
        patches.json_patch(canonical.document({"a": 1}), patch)


def test_json_patch_takes_500_operations():
    """STA-18: the limit itself is allowed."""
    assert json_patched({"n": []}, *[{"op": "add", "path": "/n/-", "value": 1}] * 500) == {"n": [1] * 500}


def test_json_patch_may_pass_through_a_scalar_but_not_end_with_one():
    """STA-17: only the result of a patch has to be an object."""
    to_scalar = {"op": "replace", "path": "", "value": 5}
    assert json_patched({"a": 1}, to_scalar, {"op": "add", "path": "", "value": {}}) == {}

    with pytest.raises(InvalidValue):
        json_patched({"a": 1}, to_scalar)


def test_json_patch_cannot_inflate_by_copying():
    """STA-50: the limit is met at the operation that passes it, not at the end."""
    doubling = [{"op": "copy", "from": "/a", "path": f"/a/k{i}"} for i in range(100)]

    with pytest.raises(DomainError) as refused:
        json_patched({"a": {"x": "y" * 1000}}, *doubling)

    assert refused.value.code in {"STATE_TOO_LARGE", "TOO_DEEP"}
    assert refused.value.members["operation_index"] < 12


def test_json_patch_counts_members_after_every_operation():
    """STA-18, STA-50: removing what was too much does not help."""
    state = {"a": {f"k{i}": i for i in range(6_000)}}

    with pytest.raises(StateTooLarge) as refused:
        json_patched(state, {"op": "copy", "from": "/a", "path": "/b"}, {"op": "remove", "path": "/b"})

    assert refused.value.members == {"operation_index": 0}


@pytest.mark.parametrize("name", ["n" * 257, ""], ids=["257 characters", "empty"])
def test_json_patch_holds_names_to_their_limit_after_every_operation(name):
    """STA-18, STA-50: removing what was too long does not help."""
    through = [{"op": "add", "path": f"/a/{name}", "value": 1}, {"op": "remove", "path": f"/a/{name}"}]

    with pytest.raises(InvalidValue) as refused:
        json_patched({"a": {}}, *through)

    assert refused.value.members == {"operation_index": 0}


def test_json_patch_bounds_the_work_of_moving_to_and_fro():
    """A small patch cannot make the server copy a large value 500 times."""
    state = {"a": "x" * 500_000}
    moves = [{"op": "move", "from": "/a", "path": "/b"}, {"op": "move", "from": "/b", "path": "/a"}] * 250

    with pytest.raises(StateTooLarge):
        json_patched(state, *moves)


def test_json_patch_refuses_deep_and_impossible_values():
    """STA-17, STA-18 with operation_index."""
    deep: object = 1
    for _ in range(31):
        deep = [deep]
    assert json_patched({}, {"op": "add", "path": "/a", "value": deep})

    with pytest.raises(TooDeep):
        json_patched({"a": {}}, {"op": "add", "path": "/a/b", "value": deep})
    with pytest.raises(InvalidValue):
        json_patched({}, {"op": "add", "path": "/", "value": 1})
    with pytest.raises(InvalidValue):
        json_patched({}, {"op": "add", "path": "/a", "value": 2**53 + 1})


def pointers(value, prefix=""):
    """Every pointer into `value`, and a few that lead nowhere."""
    yield prefix
    if isinstance(value, dict):
        for key, item in value.items():
            yield from pointers(item, prefix + "/" + key.replace("~", "~0").replace("/", "~1"))
        yield prefix + "/new"
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from pointers(item, f"{prefix}/{index}")
        yield prefix + "/-"


@st.composite
def patched_states(draw):
    """A state and operations whose pointers mostly lead somewhere."""
    state = draw(STATES)
    paths = st.sampled_from(sorted(pointers(state)))
    operation = st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]),
            "path": paths,
            "from": paths,
            "value": VALUES,
        }
    )
    return state, draw(st.lists(operation, min_size=1, max_size=5))


@settings(max_examples=500)
@given(patched_states())
def test_json_patch_equals_the_library_applied_at_once(drawn):
    """STA-50: the split into removing and adding changes no result, and refuses what the library refuses."""
    state, operations = drawn
    try:
        expected = jsonpatch.apply_patch(copy.deepcopy(state), operations)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
        expected = None

    try:
        assert json_patched(state, *operations) == expected
    except DomainError:
        assert not isinstance(expected, dict)


@given(patched_states())
def test_json_patch_keeps_the_exact_size(drawn):
    """STA-50: the running books equal the size of the data at every step."""
    state, operations = drawn
    bench = jsonpatching._Bench(canonical.document(state))
    for operation in operations:
        try:
            bench.apply(jsonpatching._checked([operation])[0])
        except (DomainError, jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
            return
        raw = canonical.encoded(bench.data)
        assert (bench._bytes, bench._members) == (len(raw), canonical.member_count(raw))


@pytest.mark.parametrize(
    ("operation", "key", "value", "result"),
    [
        ("SET", "a", None, {"a": None, "o": {"x": 1}}),
        ("SET", "o", {"y": 2}, {"a": 1, "o": {"y": 2}}),
        ("DELETE", "a", "ignored", {"o": {"x": 1}}),
        ("DELETE", "absent", None, {"a": 1, "o": {"x": 1}}),
        ("MERGE", "o", {"x": None, "y": 2}, {"a": 1, "o": {"y": 2}}),
        ("MERGE", "a", {"y": 2}, {"a": {"y": 2}, "o": {"x": 1}}),
        ("MERGE", "", {"a": None, "n": 1}, {"n": 1, "o": {"x": 1}}),
        ("MERGE", "a", 5, {"a": 5, "o": {"x": 1}}),
    ],
)
def test_key_operation_sets_deletes_and_merges(operation, key, value, result):
    """DEV-36."""
    assert after(patches.key_operation, {"a": 1, "o": {"x": 1}}, operation, key, value) == result


def test_key_operation_refuses_other_words():
    """DEV-36: UNKNOWN_OPERATION."""
    with pytest.raises(UnknownOperation):
        patches.key_operation(canonical.EMPTY, "set", "a", 1)


@pytest.mark.parametrize(("operation", "value"), [("SET", 1), ("DELETE", None), ("MERGE", [1])])
def test_key_operation_needs_a_key_or_an_object(operation, value):
    """DEV-36: INVALID_UPDATE."""
    with pytest.raises(InvalidUpdate):
        patches.key_operation(canonical.EMPTY, operation, "", value)


@given(STATES, STATES)
def test_every_change_tells_its_full_effect(state, patch):
    """DEV-45: setting `changed` and removing `deleted` at the root is the whole effect."""
    document = canonical.document(state)
    change = patches.merge_patch(document, patch)
    changed = json.loads(b"{" + b",".join(change.changed.values()) + b"}")

    effect = {key: value for key, value in (state | changed).items() if key not in change.deleted}

    assert canonical.document(effect) == change.apply(document)
