"""Real web processes killed in the middle of a completion, or told to leave (GES-39, GES-48, GES-82)."""

import contextlib
import json
import signal
import time
from pathlib import Path

import pytest
from django.conf import settings
from websockets.exceptions import ConnectionClosed

from gestures import errors, features
from gestures.features import Extracted
from gestures.machine.moves import Open
from gestures.models import CaptureSlot, FeatureRef
from gestures.protocol import parse
from sessions_app import clock
from tests.captures import at, capture, capture_socket, make_jpegs, make_open
from tests.commands import run
from tests.factories import make_session, make_token
from tests.logs import events
from tests.processes import WebProcess

pytestmark = pytest.mark.django_db(transaction=True)

FAKE = {"DEBUG": "true", "EXTRACTOR_URL": "local:", "EXTRACTOR_BACKEND": "fake", "EXTRACTOR_WORKERS": "2"}


def files():
    return sorted(path.name for path in Path(settings.DATA_ROOT).rglob("*") if path.is_file())


def again(message):
    """The same record_id, completed once more."""
    opened = parse(json.dumps(message))
    assert isinstance(opened, Open)
    features.store(Extracted(opened, clock.parse(at(2000)), bytes(5 * 856), "fake_landmarks_v1", 5))


@pytest.mark.parametrize(
    ("fault", "temporaries", "finals", "lines", "rows"),
    [
        ("store.written", 1, 0, 0, 0),
        ("store.inserted", 1, 0, 0, 0),
        ("store.renamed", 0, 1, 0, 0),
        ("store.appended", 0, 1, 1, 0),
        ("store.before_commit", 0, 1, 1, 0),
        ("store.committed", 0, 1, 1, 1),
    ],
)
def test_a_kill_at_each_step_leaves_what_can_be_repaired(fault, temporaries, finals, lines, rows):
    """GES-82: replay_session --repair and verify_features end in exit 0; and the same frames can be sent again."""
    session, token, jpegs = make_session(), make_token("u1"), make_jpegs(5)
    opened = make_open(session)
    with WebProcess(BATON_FAULT=fault, **FAKE) as web, contextlib.suppress(ConnectionClosed):
        outcome = capture(web.url, token, opened, jpegs)
        assert outcome.get("event") != "capture.completed"
    left = files()
    assert sum(name.endswith(".tmp") for name in left) == temporaries
    assert sum(name.endswith(".npz") for name in left) == finals
    kinds = [event["event"] for event in events("u1", session.session_id)]
    assert (kinds.count(features.READY), FeatureRef.objects.count()) == (lines, rows)

    assert run("replay_session", "--all", "--repair")[0] == 0
    assert run("replay_session", "--all")[0] == 0
    code, said = run("verify_features", "--all")
    assert (code, said[-1]) == (0, f"verified={lines} ok={lines} failed=0 orphans={finals - lines}")

    if lines:
        with pytest.raises(errors.RecordIdUsed):
            again(opened)
    else:
        again(opened)
    assert run("verify_features", "--all")[1][-1] == "verified=1 ok=1 failed=0 orphans=0"


def test_a_lost_commit_is_made_good_by_the_next_completion():
    """GES-48: without replay, by the record_id alone."""
    session, token, jpegs = make_session(), make_token("u1"), make_jpegs(5)
    opened = make_open(session)
    with WebProcess(BATON_FAULT="store.before_commit", **FAKE) as web, contextlib.suppress(ConnectionClosed):
        capture(web.url, token, opened, jpegs)
    with pytest.raises(errors.RecordIdUsed):
        again(opened)
    assert run("verify_features", "--all")[1][-1] == "verified=1 ok=1 failed=0 orphans=0"
    assert [event["event"] for event in events("u1", session.session_id)].count(features.READY) == 1


def test_a_leaving_process_lets_a_running_capture_finish():
    """GES-39: new opens are refused, the running one has its time; then the process ends, and its workers with it."""
    session, other, token = make_session(), make_session("u2"), make_token("u1")
    with WebProcess(**FAKE) as web, capture_socket(web.url, token) as socket:
        socket.open(make_open(session))
        socket.frames(make_jpegs(3))
        assert web.process is not None
        web.process.send_signal(signal.SIGTERM)
        refused = capture(web.url, make_token("u2"), make_open(other), [])
        assert refused["error_code"] == "server_shutdown"
        for seq in range(4, 8):  # past the moment when nobody new is let in
            time.sleep(1)
            socket.frame(seq, make_jpegs(1)[0], 1900)
        socket.finish()
        assert socket.outcome()["event"] == "capture.completed"
        assert web.process.wait(15) in (0, -signal.SIGTERM)
    assert run("verify_features", "--all")[1][-1] == "verified=1 ok=1 failed=0 orphans=0"


@pytest.mark.soak
def test_a_leaving_process_ends_a_capture_that_takes_too_long():
    """GES-39: 10 s, then server_shutdown; nothing remains."""
    session, token = make_session(), make_token("u1")
    with WebProcess(**FAKE) as web, capture_socket(web.url, token) as socket:
        socket.open(make_open(session))
        assert web.process is not None
        web.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(ConnectionClosed):
            for seq in range(1, 40):
                socket.frame(seq, make_jpegs(1)[0], seq)
                time.sleep(0.5)
        assert socket.outcome()["error_code"] == "server_shutdown"
        assert web.process.wait(15) in (0, -signal.SIGTERM)
    assert (files(), CaptureSlot.objects.count()) == ([], 0)
