"""Captures without a camera: stored by the product's own verb."""

import json
from typing import Any

import numpy as np

from gestures import features
from gestures.features import Extracted
from gestures.machine.moves import Open
from gestures.models import FeatureRef
from gestures.protocol import parse
from sessions_app import clock
from sessions_app.models import Session
from tests.captures import at, make_open


def make_opened(session: Session, **over: Any) -> Open:
    """The open of a capture, as the machine has it."""
    opened = parse(json.dumps(make_open(session, **over)))
    assert isinstance(opened, Open)
    return opened


def complete(message: dict[str, Any]) -> FeatureRef:
    """The completion of a capture of 2 s and five frames that was opened with this message."""
    opened = parse(json.dumps(message))
    assert isinstance(opened, Open)
    return features.store(Extracted(opened, clock.parse(at(2000)), bytes(5 * 856), "fake_landmarks_v1", 5))


def make_capture(session: Session, seed: int = 0, **over: Any) -> FeatureRef:
    """A completed capture of ten seconds and five frames, every value `seed`."""
    rows = np.full((5, 214), seed, dtype="<f4").tobytes()
    ended = clock.parse("2026-03-02T09:20:10.000Z")
    return features.store(Extracted(make_opened(session, **over), ended, rows, "holistic_landmarks_v1", 4711))
