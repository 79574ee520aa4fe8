"""Real web processes killed in the middle of a completion, or told to leave (GES-39, GES-48, GES-82)."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings
from websockets.exceptions import ConnectionClosed

from gestures import errors, features
from gestures.models import CaptureSlot, FeatureRef
from tests.captures import capture, capture_socket, make_jpegs, make_open
from tests.commands import run
from tests.factories import make_session, make_token
from tests.gestures.making import complete
from tests.logs import events
from tests.processes import WebProcess, same_stores

pytestmark = pytest.mark.django_db(transaction=True)

FAKE = {"DEBUG": "true", "EXTRACTOR_URL": "local:", "EXTRACTOR_BACKEND": "fake", "EXTRACTOR_WORKERS": "1"}


def files():
    return sorted(path.name for path in Path(settings.DATA_ROOT).rglob("*") if path.is_file())


# What a kill there leaves behind: temporary files, files with their name, lines, rows.
STEPS = {
    "store.written": (1, 0, 0, 0),
    "store.inserted": (1, 0, 0, 0),
    "store.renamed": (0, 1, 0, 0),
    "store.appended": (0, 1, 1, 0),
    "store.before_commit": (0, 1, 1, 0),
    "store.committed": (0, 1, 1, 1),
}


def in_forks(opens):
    """The completions alone, each in a process that is killed within it."""
    command = [sys.executable, "-m", "tests.gestures.dying"]
    env = {**os.environ, **same_stores(), "DJANGO_SETTINGS_MODULE": "config.settings"}
    subprocess.run(command, cwd=settings.BASE_DIR, env=env, input=json.dumps(opens).encode(), check=True, timeout=60)


def over_the_socket(opens):
    """Whole captures, each over a web process that is killed within its completion."""
    for fault, opened in opens.items():
        with WebProcess(BATON_FAULT=fault, **FAKE) as web, contextlib.suppress(ConnectionClosed):
            outcome = capture(web.url, make_token(opened["user_id"]), opened, make_jpegs(5))
            assert outcome.get("event") != "capture.completed"


@pytest.mark.parametrize("die", [in_forks, pytest.param(over_the_socket, marks=pytest.mark.soak)])
def test_a_kill_at_each_step_leaves_what_can_be_repaired(die):
    """GES-82: replay_session --repair and verify_features end in exit 0; and the same frames can be sent again."""
    opens = {fault: make_open(make_session(user_id)) for user_id, fault in zip("abcdef", STEPS, strict=True)}
    die(opens)
    assert {fault: left_of(opened) for fault, opened in opens.items()} == STEPS

    with pytest.raises(errors.RecordIdUsed):
        complete(opens["store.appended"])  # GES-48: a lost commit is made good by the record_id alone
    assert left_of(opens["store.appended"]) == (0, 1, 1, 1)

    assert run("replay_session", "--all", "--repair")[0] == 0
    assert run("replay_session", "--all")[0] == 0
    code, said = run("verify_features", "--all")
    assert (code, said[-1]) == (0, "verified=3 ok=3 failed=0 orphans=1")

    for fault, opened in opens.items():
        has_line = STEPS[fault][2] == 1
        with pytest.raises(errors.RecordIdUsed) if has_line else contextlib.nullcontext():
            complete(opened)
    assert run("verify_features", "--all")[1][-1] == "verified=6 ok=6 failed=0 orphans=0"


def left_of(opened):
    """How many temporary files, files with their name, lines and rows there are of one capture."""
    names = [path.name for path in Path(settings.DATA_ROOT).rglob("*") if opened["record_id"] in path.name]
    kinds = [event["event"] for event in events(opened["user_id"], opened["session_id"])]
    return (
        sum(name.endswith(".tmp") for name in names),
        sum(name.endswith(".npz") for name in names),
        kinds.count(features.READY),
        FeatureRef.objects.filter(record_id=opened["record_id"]).count(),
    )


def test_a_leaving_process_lets_a_running_capture_finish():
    """GES-39: new opens are refused, the running one has its time; then the process ends, and its workers with it."""
    session, other, token = make_session(), make_session("u2"), make_token("u1")
    with WebProcess(**FAKE) as web, capture_socket(web.url, token) as client:
        assert client.open(make_open(session))["ack"] == "capture.open"
        client.frames(make_jpegs(3))
        assert web.process is not None
        web.process.send_signal(signal.SIGTERM)
        with capture_socket(web.url, make_token("u2")) as late:
            late.connection.send(json.dumps(make_open(other)))
            outcome = late.outcome()  # none, and 1001, if the process left between its connect and its open
            assert (outcome.get("error_code"), late.close_code) in [("server_shutdown", 1000), (None, 1001)]
        seq = 3
        while listens(web):  # until nobody new is let in
            seq += 1
            client.frame(seq, make_jpegs(1)[0], 1900)
            time.sleep(0.2)
        client.finish()
        assert client.outcome()["event"] == "capture.completed"
        assert web.process.wait(15) in (0, -signal.SIGTERM)
    assert run("verify_features", "--all")[1][-1] == "verified=1 ok=1 failed=0 orphans=0"


def listens(web):
    try:
        socket.create_connection(("127.0.0.1", web.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.soak
def test_a_leaving_process_ends_a_capture_that_takes_too_long():
    """GES-39: 10 s, then server_shutdown; nothing remains."""
    session, token = make_session(), make_token("u1")
    with WebProcess(**FAKE) as web, capture_socket(web.url, token) as client:
        assert client.open(make_open(session))["ack"] == "capture.open"
        assert web.process is not None
        web.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(ConnectionClosed):
            for seq in range(1, 40):
                client.frame(seq, make_jpegs(1)[0], seq)
                time.sleep(0.5)
        assert client.outcome()["error_code"] == "server_shutdown"
        assert web.process.wait(15) in (0, -signal.SIGTERM)
    assert (files(), CaptureSlot.objects.count()) == ([], 0)
