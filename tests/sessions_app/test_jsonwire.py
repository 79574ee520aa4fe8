"""The strict reader of JSON (STA-10, DEV-11)."""

import pytest

from sessions_app import jsonwire
from sessions_app.errors import MalformedJson
from sessions_app.state.state_errors import TooDeep


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"{} {}",
        b"{}x",
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"\\u0062":2}}',
        b"[NaN]",
        b"[Infinity]",
        b"[-Infinity]",
        b"\xef\xbb\xbf{}",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":1,}',
        b'"\x01"',
    ],
)
def test_loads_refuses_what_is_not_one_strict_document(data):
    """STA-10: duplicate names anywhere, NaN, bad UTF-8, a BOM, trailing data."""
    with pytest.raises(MalformedJson):
        jsonwire.loads(data)


def test_loads_reads_every_kind_of_value():
    """Bytes and text read alike; white space around is JSON's own."""
    text = ' {"a": [1, -2.5, true, false, null, "é\\ud83d\\ude00"]}\n'

    assert jsonwire.loads(text) == jsonwire.loads(text.encode()) == {"a": [1, -2.5, True, False, None, "é\U0001f600"]}


@pytest.mark.parametrize("levels", [2_000, 200_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_loads_survives_a_depth_bomb(levels, opening, closing):
    """STA-18: nesting no parser stack holds is TOO_DEEP, never a crash."""
    with pytest.raises(TooDeep):
        jsonwire.loads(opening * levels + "0" + closing * levels)


@pytest.mark.parametrize("text", [r'"\ud800"', r'{"\uDFFF":1}', r'{"a":["\udc00\ud800"]}'])
def test_loads_refuses_lone_surrogates_unless_asked(text):
    """STA-17 has its own code for them in states, so a caller may let them through."""
    with pytest.raises(MalformedJson):
        jsonwire.loads(text)

    assert jsonwire.loads(text, unstorable=True) is not None


def test_loads_accepts_an_escaped_pair_and_an_escaped_backslash():
    """Only real lone surrogates count, not text that looks like their escape."""
    assert jsonwire.loads(r'["\ud83d\ude00", "\\ud800"]') == ["\U0001f600", "\\ud800"]


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000, "1e400", "-1.5E309"])
def test_loads_refuses_a_number_beyond_a_double_unless_asked(number):
    """STA-17 has its own code for them in states; elsewhere they would come out as Infinity (SES-38)."""
    text = f'{{"a":{number},"b":7}}'
    with pytest.raises(MalformedJson):
        jsonwire.loads(text)

    infinity = float("-inf" if number.startswith("-") else "inf")
    assert jsonwire.loads(text, unstorable=True) == {"a": infinity, "b": 7}


def test_dumps_is_compact_and_literal():
    """Non-ASCII characters stay themselves."""
    assert jsonwire.dumps({"b": "é", "a": [1, None]}) == '{"b":"é","a":[1,null]}'.encode()
