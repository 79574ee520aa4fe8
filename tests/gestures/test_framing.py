"""Messages between ingest and extractor (GES-32)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gestures.extraction import framing
from gestures.extraction.framing import Kind


@given(st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=50)), max_size=8), st.integers(1, 40))
def test_messages_survive_any_cutting(messages, step):
    """However the bytes arrive, the messages are the same."""
    stream = b"".join(framing.pack(kind, payload) for kind, payload in messages)
    unpacker = framing.Unpacker()
    found: list[tuple[Kind, bytes]] = []
    for at in range(0, len(stream), step):
        found += unpacker.feed(stream[at : at + step])
    assert found == messages


@pytest.mark.parametrize("stream", [b"\x00\x00\x00\x00\x01", b"\xff\xff\xff\xff\x01", b"\x00\x00\x00\x01\x63"])
def test_a_broken_peer_is_told_apart_at_once(stream):
    """No length is believed that no message has."""
    with pytest.raises(framing.Broken):
        list(framing.Unpacker().feed(stream))


@pytest.mark.parametrize("payload", [b"", b"[]", b"{"])
def test_what_is_no_object_is_broken(payload):
    """OPEN, READY and ERROR carry an object."""
    with pytest.raises(framing.Broken):
        framing.members(payload)
    assert framing.members(framing.document(width=64)) == {"width": 64}
