"""Captures over `/ws/capture` against the live server (GES section 2)."""

from gestures.models import CaptureSlot, FeatureRef
from tests.captures import capture, make_jpegs, make_open
from tests.logs import events


def test_capture_completes(live, session):
    """GES-15, GES-19, GES-46, GES-51: rows, file, line, and what the client is told, agree."""
    opened = make_open(session)
    outcome = capture(live.url, live.token, opened, make_jpegs(30))

    assert (outcome["event"], outcome["frames"], outcome["dims"]) == ("capture.completed", 30, 214)
    ref = FeatureRef.objects.get(record_id=opened["record_id"])
    assert ref.raw_features_ref == outcome["raw_features_ref"]
    kinds = [event["event"] for event in events("u1", session.session_id)]
    assert kinds == ["session.start", "raw_features.ready"]
    assert not CaptureSlot.objects.exists()
