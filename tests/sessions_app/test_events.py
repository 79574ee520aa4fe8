"""What any event is held to before it is written (SES-29, SES-38, SES-41, SES-47)."""

import json
import math

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from sessions_app import clock, eventlog, events, ids
from sessions_app.errors import ForbiddenPayload, Internal

WHOLE = {
    "schema_version": "1.0.1",
    "record_id": "b1f0a8a4-2f0c-4e55-93f7-3a0f2d8f9c11",
    "user_id": "u1",
    "session_id": "sess_0123456789abcdef",
    "timestamp": "2026-03-02T09:20:00.000Z",
    "source": "notes_service",
    "performer_id": "carer01",
    "event": "note.added",
}
SCALARS = st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]))
MEDIA = st.sampled_from(
    ["data:image/png", "DATA:Video/mp4", "frame_data", "audio_payload", '"data:audio/', "x data:image/"]
)
VALUES = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False) | MEDIA,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | MEDIA, inner, max_size=3),
)


@pytest.mark.parametrize(
    "other", [{}, {"session_id": "0f1d3b0e-0c3e-1a52-b1ce-2d1b3ab5c0aa"}, {"modality": "gesture"}, {"more": [1, {}]}]
)
def test_a_whole_event_passes(other):
    """SES-41: it is neither refused nor changed."""
    event = {**WHOLE, **other}
    events.check(event)
    assert event == {**WHOLE, **other}


@pytest.mark.parametrize("name", events.REQUIRED)
@pytest.mark.parametrize("value", [None, 7, "", "  ", "Ä", "u1\n", "u1\ncarer01", ["u1"]])
def test_a_required_member_without_its_form_is_refused(name, value):
    """SES-41: by its name, and also if it smuggles in a line that another member might be."""
    with pytest.raises(events.EventInvalid, match=name):
        events.check({**WHOLE, name: value})


@pytest.mark.parametrize("name", events.REQUIRED)
def test_an_absent_member_is_refused(name):
    """SES-41."""
    with pytest.raises(events.EventInvalid, match=name):
        events.check({key: value for key, value in WHOLE.items() if key != name})


@pytest.mark.parametrize(
    "over",
    [
        {"schema_version": "2.0.0"},
        {"record_id": "b1f0a8a4-2f0c-1e55-93f7-3a0f2d8f9c11"},  # version 1
        {"timestamp": "2026-02-30T09:20:00.000Z"},
        {"timestamp": "2026-03-02T09:20:00Z"},
        {"modality": "smell"},
        {"modality": ["gesture"]},
        {"event": events.START},
    ],
)
def test_an_event_against_its_schema_is_refused(over):
    """SES-6, SES-4, SES-23, SES-26, SES-41."""
    with pytest.raises(events.EventInvalid):
        events.check({**WHOLE, **over})


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), SCALARS))
def test_a_flat_event_has_the_bytes_that_any_other_would_have(members):
    """SES-38: compact, non-ASCII as itself, the same escapes whoever writes them."""
    expected = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
    if not events.forbidden_payload(members):
        assert eventlog.fitting(members) == expected


@given(VALUES)
def test_bytes_tell_what_may_be_forbidden(value):
    """SES-47: whoever is not suspect has nothing forbidden."""
    encoded = json.dumps({"note": value}, ensure_ascii=False).encode()
    assert events.is_suspect(encoded, is_flat=False) or events.forbidden_payload({"note": value}) is None


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("inside", [lambda number: number, lambda number: [{"x": number}]])
def test_what_json_cannot_say_is_refused(number, inside):
    """SES-38."""
    with pytest.raises(Internal):
        eventlog.fitting({**WHOLE, "note": inside(number)})


def test_a_lone_surrogate_is_refused():
    """SES-38: UTF-8 cannot say it."""
    with pytest.raises(Internal):
        eventlog.fitting({**WHOLE, "note": "\ud800"})


def test_an_integer_of_any_length_stays_itself():
    """SES-48: members are kept as given."""
    assert json.loads(eventlog.fitting({**WHOLE, "note": 2**70}))["note"] == 2**70


def test_nesting_no_encoder_follows_is_a_forbidden_payload():
    """SES-47."""
    nested: object = 0
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(ForbiddenPayload):
        eventlog.fitting({**WHOLE, "note": nested})


@pytest.mark.parametrize("at", ["2026-03-02T09:15:04.000Z", "2026-03-02T09:15:04.999900Z", "1999-12-31T23:59:59.123Z"])
def test_the_stamp_of_this_instant(at):
    """SES-4: three digits, cut and not rounded."""
    with time_machine.travel(at, tick=False):
        assert clock.stamp_now() == clock.stamp(clock.now()) == at[:23] + "Z"


def test_record_ids_are_version_4_and_differ():
    """SES-26."""
    made = {ids.new_record_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(map(ids.is_uuid4, made))
