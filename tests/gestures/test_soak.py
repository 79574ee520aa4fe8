"""Whole captures through the real library: every shape of picture, and the largest capture there is; minutes."""

import io
import time

import pytest
from PIL import Image

from gestures import artifacts, verification
from gestures.models import FeatureRef
from tests.captures import at, capture, capture_socket, make_meta, make_open
from tests.factories import make_session, make_token
from tests.gestures.test_landmarks import PORTRAIT, independent_rows, portraits
from tests.gestures.uploading import upload
from tests.processes import WebProcess

pytestmark = [pytest.mark.soak, pytest.mark.django_db(transaction=True)]

FRAMES, FPS = 1800, 15


def test_two_minutes_at_fifteen_frames_a_second():
    """GES-83: T = 1,800, drained within its time."""
    file = io.BytesIO()
    Image.open(PORTRAIT / "grace_hopper.jpg").resize((640, 480)).save(file, "JPEG", quality=85)
    picture, session = file.getvalue(), make_session()
    with (
        WebProcess(EXTRACTOR_URL="local:", EXTRACTOR_WORKERS="1") as web,
        capture_socket(web.url, make_token()) as socket,
    ):
        assert socket.open(make_open(session, width=640, height=480))["ack"] == "capture.open"
        began = time.monotonic()
        for seq in range(1, FRAMES + 1):
            time.sleep(max(0.0, began + (seq - 1) / FPS - time.monotonic()))
            socket.frame(seq, picture, (seq - 1) * 1000 / FPS)
        socket.say("capture.close", timestamp_end=at(120_000))
        outcome = socket.outcome()
    assert (outcome["event"], outcome["frames"]) == ("capture.completed", FRAMES)
    assert verification.verify(FeatureRef.objects.get()).is_ok


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (320, 240), (160, 120), (64, 64)])
def test_both_transports_store_what_the_library_says(size):
    """GES-40, GES section 3: the same frames, the same hash, and the rows of an independent run."""
    session, jpegs = make_session(), portraits(8, size)
    shape = {"width": size[0], "height": size[1]}
    with WebProcess(EXTRACTOR_URL="local:", EXTRACTOR_WORKERS="1") as web:
        web.token = make_token()
        first = capture(web.url, web.token, make_open(session, **shape), jpegs)
        second = upload(web, make_meta(session, jpegs, **shape), jpegs).json()
    assert first["hash"] == second["raw_features_ref"]["hash"]
    rows = artifacts.decode(artifacts.read(first["raw_features_ref"]["uri"]))
    assert (rows == independent_rows(jpegs)).all()
