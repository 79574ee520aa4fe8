"""Messages to moves (GES-10 to GES-13) and the `meta` of an upload (GES-21), without a socket."""

import json

import pytest

from gestures import errors, protocol
from gestures.machine import moves, rules
from sessions_app.kinds import FieldErrors
from sessions_app.models import Session
from tests.captures import at, make_meta, make_open

SESSION = Session(session_id="sess_0123456789abcdef", user_id="u1")


def read(**over):
    return protocol.parse(json.dumps(make_open(SESSION, **over)))


def test_an_open_says_who_and_what():
    """GES-10."""
    opened = read(fps_target=7, width=640, height=480, device_id="tablet-1")
    assert isinstance(opened, moves.Open)
    assert (opened.fps_target, opened.width, opened.height) == (7, 640, 480)
    assert (opened.user_id, opened.session_id, opened.device_id) == ("u1", SESSION.session_id, "tablet-1")
    assert opened.intent == "drink"


@pytest.mark.parametrize(
    "over",
    [{"record_id": ...}, {"record_id": "7f0f1f7e-6c6e-1b0e-8a0b-2f6f5b0a1d22"}, {"record_id": "../x"},
     {"schema_version": "2.0.0"}, {"timestamp_start": ...}, {"timestamp_start": "2026-03-02T09:20:00"},
     {"fps_target": "15"}, {"fps_target": True}, {"width": 64.5}, {"encoding": "png"}, {"nickname": "x"},
     {"session_id": "None"}, {"performer_id": ...}, {"performer_id": " "}, {"user_id": "a/b"}, {"timestamp": ...},
     {"capture_id": "7f0f1f7e-6c6e-4b0e-8a0b-2f6f5b0a1d22"}, {"source": "camera"}, {"modality": "gesture"},
     {"annotation": {"label": "x"}}, {"annotation": {"intent": ""}}, {"annotation": {"intent": "x" * 129}},
     {"annotation": []}, {"event": "capture.start"}, {"event": ["capture.open"]}, {"event": ...}],
)  # fmt: skip
def test_a_malformed_open_says_nothing(over):
    """GES-10, GES-18: 1008, not 1003."""
    garbled = read(**over)
    assert isinstance(garbled, moves.Garbled)
    assert garbled.close_code == 1008


@pytest.mark.parametrize("intent", ["x", "x" * 128, None])
def test_an_intent_within_its_length_passes(intent):
    """GES-10: 1 to 128 characters."""
    opened = read(annotation={"intent": intent})
    assert isinstance(opened, moves.Open)
    assert opened.intent == intent


@pytest.mark.parametrize(("length", "kind"), [(16_384, moves.Cancel), (16_385, moves.Garbled)])
def test_a_text_message_has_a_limit(length, kind):
    """GES-3, GES-84: 16,384 bytes."""
    text = '{"event":"capture.cancel"}'
    assert type(protocol.parse(text + " " * (length - len(text)))) is kind


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"frames": [{"seq": 2, "timestamp_frame": at(0), "byte_length": 9}]}, "PROTOCOL_VIOLATION"),
        ({"frames": [{"seq": 1, "timestamp_frame": at(-1), "byte_length": 9}]}, "PROTOCOL_VIOLATION"),
        ({"timestamp_end": at(2000), "frames": [{"seq": 1, "timestamp_frame": at(2001), "byte_length": 9}]},
         "PROTOCOL_VIOLATION"),
        ({"frames": [{"seq": 1, "timestamp_frame": "x", "byte_length": 9}]}, "FIELD_INVALID"),
        ({"frames": [{"seq": True, "timestamp_frame": at(0), "byte_length": 9}]}, "FIELD_INVALID"),
        ({"frames": [{"seq": 1}]}, "FIELD_INVALID"),
        ({"frames": {}}, "FIELD_INVALID"),
        ({"session_id": ...}, "FIELD_MISSING"),
        ({"session_id": None}, "FIELD_MISSING"),
        ({"timestamp_end": ...}, "FIELD_MISSING"),
        ({"record_id": "x"}, "FIELD_INVALID"),
        ({"schema_version": "2.0.0"}, "SCHEMA_VERSION_UNSUPPORTED"),
        ({"annotation": {"label": "x"}}, "FIELD_INVALID"),
        ({"capture_id": "7f0f1f7e-6c6e-4b0e-8a0b-2f6f5b0a1d22"}, "FIELD_INVALID"),
    ],
)  # fmt: skip
def test_a_meta_that_cannot_be_served_is_told_apart(over, code):
    """GES-21, GES-22, CON-5."""
    with pytest.raises((FieldErrors, errors.ProtocolViolation)) as refused:
        foresee(make_meta(SESSION, [b"x" * 9], **over))
    assert refused.value.code == code


def foresee(meta):
    declared = protocol.parse_upload(json.dumps(meta).encode())
    rules.foresee(declared.opened, declared.metas, declared.close)
