"""Timers run on a silent socket (GES-4, GES-5); here they are short, against the live server."""

import os
import signal
from contextlib import contextmanager, suppress

import pytest
from websockets.exceptions import ConnectionClosed

from gestures import limits
from gestures.extraction import child
from tests.captures import at, capture_socket, make_jpeg, make_open, multipart
from tests.gestures.observing import eventually, nothing_remains, ready_workers, workers
from tests.gestures.uploading import begun, received

SHORT_S = 0.2


@contextmanager
def stopped_workers(monkeypatch):
    """No worker answers; afterwards there are two that do."""
    monkeypatch.setattr(child, "SETTLE_S", SHORT_S)
    before = ready_workers()
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        assert eventually(lambda: set(before) - set(workers()))  # the one that had the capture
        for pid in set(before) & set(workers()):
            os.kill(pid, signal.SIGCONT)
        ready_workers()


def test_a_socket_that_never_authenticates_closes_4401(live, monkeypatch):
    """GES-4: authentication after connect."""
    monkeypatch.setattr(limits, "AUTH_S", SHORT_S)
    with capture_socket(live.url) as socket:
        assert socket.outcome() == {}
        assert socket.close_code == 4401


def test_a_socket_that_never_opens_closes_1008(live, monkeypatch):
    """GES-4: capture.open after authentication."""
    monkeypatch.setattr(limits, "OPEN_S", SHORT_S)
    with capture_socket(live.url, live.token) as socket:
        assert socket.outcome()["event"] == "capture.error"
        assert socket.close_code == 1008


@pytest.mark.parametrize(
    ("timer", "code"),
    [("SILENCE_S", "protocol_violation"), ("FRAME_AFTER_META_S", "protocol_violation"),
     ("MAX_CONNECTED_S", "limit_duration_exceeded")],
)  # fmt: skip
def test_a_capture_that_falls_silent_is_aborted(live, session, monkeypatch, timer, code):
    """GES-4: any message, the frame after its meta, the server's clock."""
    monkeypatch.setattr(limits, timer, SHORT_S)
    with capture_socket(live.url, live.token) as socket:
        socket.open(make_open(session))
        if timer == "FRAME_AFTER_META_S":
            socket.say("capture.frame_meta", seq=1, timestamp_frame=at(0), byte_length=9)
        assert socket.outcome()["error_code"] == code
        assert socket.close_code == 1000
    assert nothing_remains(session)


def test_rows_that_do_not_come_end_the_drain(live, session, monkeypatch):
    """GES-4: drain after close."""
    monkeypatch.setattr(limits, "DRAIN_S", SHORT_S)
    with stopped_workers(monkeypatch), capture_socket(live.url, live.token) as socket:
        socket.open(make_open(session))
        socket.frame(1, make_jpeg(), 0)
        socket.finish()
        outcome = socket.outcome()
        assert (outcome["error_code"], outcome["retry"]) == ("drain_timeout", True)
    assert nothing_remains(session)


def test_a_full_queue_holds_the_client_back_and_then_aborts(live, session, monkeypatch):
    """GES-4, GES-33: 45 frames without a row; nothing more is read."""
    monkeypatch.setattr(limits, "FORWARD_FULL_S", SHORT_S)
    with stopped_workers(monkeypatch), capture_socket(live.url, live.token) as socket:
        socket.open(make_open(session))
        with suppress(ConnectionClosed):
            for seq in range(1, 60):
                socket.frame(seq, make_jpeg(), seq)
        assert socket.outcome()["error_code"] == "limit_forward_buffer_exceeded"
    assert nothing_remains(session)


def test_an_upload_that_falls_silent_is_ended(live, session, monkeypatch):
    """GES-4: no byte received for 10 s; whether in its meta or in a frame."""
    monkeypatch.setattr(limits, "UPLOAD_SILENCE_S", SHORT_S)
    whole = b"".join(multipart({"half": "a meta"}, []))
    with begun(live, whole[:60], length=len(whole)) as connection:
        assert b'"code":"PROTOCOL_VIOLATION"' in received(connection)
    assert nothing_remains(session)
