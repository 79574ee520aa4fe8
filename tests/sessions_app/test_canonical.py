"""Canonical form, checksum and limits (STA-15 to STA-18)."""

import hashlib
import json
import math

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from sessions_app import jsonwire
from sessions_app.state import canonical
from sessions_app.state.state_errors import InvalidValue, StateTooLarge, TooDeep

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53) + 1, 2**53 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
STATES = st.dictionaries(NAMES, VALUES, max_size=5)


@pytest.mark.parametrize(
    ("text", "form", "checksum"),
    [
        ("{}", "{}", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
        (
            '{"streak_days":12,"current_mood":"calm","meditation_progress":75.0}',
            '{"current_mood":"calm","meditation_progress":75,"streak_days":12}',
            "012957d383a26195e135b02039972a402c34a2b02bce9990ba9271133d059887",
        ),
        (
            '{"current_mood":"calm","meditation_progress":80,"streak_days":12}',
            '{"current_mood":"calm","meditation_progress":80,"streak_days":12}',
            "c3c6f69ab0c2d12bc1f4d45111d65a90ea4b0c6c5403159966ac85104d06e3c9",
        ),
        (
            r'{"b":[1.0,true,null,5E-1,1e21],"a":{"\u00e9":"\u00fc\/\n","z":-0}}',
            r'{"a":{"z":0,"é":"ü/\n"},"b":[1,true,null,0.5,1e+21]}',
            "1d6b7bda3fcfb97b3ac4c0c8a10f822f6869f41a21c4c8b7cb167d8abdd988ac",
        ),
    ],
)
def test_document_has_the_published_form_and_checksum(text, form, checksum):
    """STA-16: the four vectors."""
    document = canonical.document(jsonwire.loads(text))

    assert (document.canonical.decode(), document.checksum) == (form, checksum)


@pytest.mark.parametrize(
    ("spelling", "printed"),
    [
        ("1.0", "1"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("1E-7", "1e-7"),
        ("0.000001", "0.000001"),
        ("0.00001", "0.00001"),
        ("1e16", "10000000000000000"),
        ("123456789012345680000", "123456789012345680000"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("9007199254740992", "9007199254740992"),
        ("-9007199254740991", "-9007199254740991"),
        ("100000000000000000", "100000000000000000"),
        ("9007199254740993.0", "9007199254740992"),
    ],
)
def test_document_spells_numbers_as_ecmascript_does(spelling, printed):
    """STA-15, STA-17 with its clarification on integers that survive a round trip."""
    document = canonical.document(jsonwire.loads(f'{{"n":{spelling}}}'))

    assert document.canonical == f'{{"n":{printed}}}'.encode()
    assert canonical.stored(document.canonical) == document


@given(STATES)
def test_document_equals_the_reference_implementation(state):
    """STA-15: the fast path prints what rfc8785 prints."""
    document = canonical.document(json.loads(json.dumps(state)))

    assert document.canonical == rfc8785.dumps(state)
    assert document.checksum == hashlib.sha256(rfc8785.dumps(state)).hexdigest()


@given(STATES)
def test_stored_gives_the_same_document(state):
    """STA-19: what was stored reads back as itself."""
    document = canonical.document(state)

    assert canonical.stored(document.canonical) == document
    assert canonical.document(document.data()) == document


@given(STATES, STATES, st.sets(NAMES, max_size=3))
def test_replacing_equals_building_anew(state, changes, deleted):
    """An update of some keys gives the very document that the whole new state gives."""
    deleted -= changes.keys()
    expected = {key: value for key, value in (state | changes).items() if key not in deleted}

    updated = canonical.document(state).replacing(canonical.encoded_members(changes), deleted)

    assert updated == canonical.document(expected)
    assert list(updated.members) == list(canonical.document(expected).members)


def test_names_sort_by_utf16_code_units():
    """STA-15: U+10000 is a surrogate pair and sorts before U+FFFD."""
    document = canonical.document({"\ufffd": 1, "\U00010000": 2, "z": {"\ufffd": 1, "\U00010000": 2}})

    assert list(document.members) == ["z", "\U00010000", "\ufffd"]
    assert document.canonical == rfc8785.dumps(document.data())


@pytest.mark.parametrize(
    "text",
    [
        '{"n":9007199254740993}',
        '{"n":-9007199254740993}',
        '{"n":9007199254740994000001}',
        '{"n":1000000000000000000000}',
        '{"n":1e309}',
        '{"n":-1e999}',
        '{"n":1' + "0" * 400 + "}",
        '{"n":1' + "0" * 5000 + "}",
        r'{"s":"\u0000"}',
        r'{"s":["\ud800"]}',
        r'{"s":{"\udfff":1}}',
        r'{"a\u0000b":1}',
        '{"":1}',
        '{"a":{"":1}}',
        '{"' + "n" * 257 + '":1}',
        '{"a":[{"' + "n" * 257 + '":1}]}',
    ],
)
def test_document_refuses_values_without_a_canonical_form(text):
    """STA-17, STA-18."""
    with pytest.raises(InvalidValue):
        canonical.document(jsonwire.loads(text, unstorable=True))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_encoded_refuses_numbers_json_cannot_spell(number):
    """STA-17."""
    with pytest.raises(InvalidValue):
        canonical.encoded([number])


def test_document_accepts_a_name_of_256_characters():
    """STA-18 counts characters, not bytes."""
    assert canonical.document({"é" * 256: 1}).members.keys() == {"é" * 256}


def nested(levels: int) -> dict:
    """An object whose arrays and objects nest `levels` deep, itself included, around a scalar."""
    value: object = 1
    for level in range(levels - 1):
        value = [value] if level % 2 else {"a": value}
    return {"root": value}


def test_document_nests_32_levels_and_no_more():
    """STA-18 with its clarification: arrays count, scalars do not."""
    canonical.document(nested(32))
    canonical.check_depth(nested(32))

    with pytest.raises(TooDeep):
        canonical.document(nested(33))
    with pytest.raises(TooDeep):
        canonical.check_depth(nested(33))


def test_document_is_at_most_one_mebibyte():
    """STA-18: 1,048,576 canonical bytes."""
    room = canonical.MAX_BYTES - len('{"a":""}')
    assert len(canonical.document({"a": "x" * room}).canonical) == canonical.MAX_BYTES

    with pytest.raises(StateTooLarge):
        canonical.document({"a": "x" * (room + 1)})


def test_document_has_at_most_10000_members():
    """STA-18 counts the members of all objects together; text that looks like members does not count."""
    inner = {f"k{i}": '":' for i in range(9_998)}
    canonical.document({"a": inner, "b": 1})

    with pytest.raises(StateTooLarge):
        canonical.document({"a": inner, "b": 1, "c": 2})


def test_same_tells_true_from_one():
    """STA-39: equality is equality of canonical form."""
    assert canonical.same({"a": [1, {"b": 2, "c": 3}]}, {"a": [1, {"c": 3, "b": 2}]})
    assert not canonical.same([True], [1])
    assert not canonical.same({"a": 0}, {"a": False})


def test_pick_and_differing_work_on_root_members():
    """The log's previous values and a conflict's keys are made of these."""
    document = canonical.document({"a": 1, "b": [2], "c": None})

    assert document.pick(["c", "absent", "a"]) == b'{"a":1,"c":null}'
    assert document.differing(canonical.document({"a": 1, "b": [3], "d": 0})) == {"b", "c", "d"}
    assert (document.get("b"), document.get("absent")) == ([2], None)
