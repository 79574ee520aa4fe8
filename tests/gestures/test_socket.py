"""Captures over `/ws/capture` against the live server (GES section 2)."""

import hashlib
import json
import os
import signal
import time
from contextlib import ExitStack, nullcontext, suppress

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gestures import artifacts, features, limits, verification
from gestures.extraction import child
from gestures.ingest import running
from gestures.models import CaptureSlot, FeatureRef
from sessions_app import clock, drain, sessions
from sessions_app.models import Session
from tests.captures import at, capture, capture_socket, make_jpeg, make_jpegs, make_open, padded_jpeg
from tests.factories import make_caller, make_session, make_token
from tests.gestures.observing import eventually, nothing_remains, ready_workers, workers
from tests.logs import events


def test_a_capture_completes(live, session):
    """GES-15, GES-19, GES-46, GES-51, GES-76, GES-77: file, row, line, and what the client is told, agree."""
    opened, jpegs = make_open(session), make_jpegs(30)
    outcome = capture(live.url, live.token, opened, jpegs)

    assert (outcome["event"], outcome["frames"], outcome["dims"]) == ("capture.completed", 30, 214)
    ref = FeatureRef.objects.get(record_id=opened["record_id"])
    assert (
        outcome["raw_features_ref"] == ref.raw_features_ref == events("u1", session.session_id)[-1]["raw_features_ref"]
    )
    assert outcome["hash"] == ref.hash == hashlib.sha256(artifacts.read(ref.uri)).hexdigest()
    assert [event["event"] for event in events("u1", session.session_id)] == ["session.start", "raw_features.ready"]
    assert verification.verify(ref).is_ok
    assert not CaptureSlot.objects.exists()


def test_the_fake_backend_gives_its_documented_rows(live, session):
    """GES-38: row[j] = digest[j mod 32] / 255; the encoding says so; frames keep their order."""
    jpegs = make_jpegs(5)
    ref = capture(live.url, live.token, make_open(session), jpegs)["raw_features_ref"]
    rows = artifacts.decode(artifacts.read(ref["uri"]))
    digests = [hashlib.sha256(jpeg).digest() for jpeg in jpegs]
    expected = np.array([[digest[j % 32] / 255 for j in range(214)] for digest in digests], dtype="<f4")
    assert (rows == expected).all()
    assert ref["encoding"].startswith("fake_landmarks_v1;fps=15;max_window_s=120;extractor_tag=baton-")


def test_equal_frames_give_equal_hashes(live, session):
    """GES-45, GES-80: under another record_id, over the alias, and while another capture runs."""
    jpegs = make_jpegs(8)
    other = make_session("u2")
    with capture_socket(live.url, make_token("u2")) as busy:
        busy.open(make_open(other))
        first = capture(live.url, live.token, make_open(session), jpegs)
        with capture_socket(live.url, live.token, path="/camera_feed_worker/capture") as alias:
            alias.open(make_open(session))
            alias.frames(jpegs)
            alias.finish()
            assert alias.outcome()["hash"] == first["hash"]
            assert alias.close_code == 1000


def test_the_server_acknowledges_as_it_goes(live, session):
    """GES-14: the open, every fifteenth frame, the close; GES section 2: what every message carries."""
    jpegs = make_jpegs(30)
    heard = []
    with capture_socket(live.url, live.token) as socket:
        opened = make_open(session)
        heard.append(socket.open(opened))
        socket.frames(jpegs)
        socket.finish()
        try:
            while True:
                heard.append(json.loads(socket.connection.recv(timeout=20)))
        except ConnectionClosed:
            pass
    acks = [(message["ack"], message["frames"], message["bytes"]) for message in heard[:-1]]
    size, half = sum(map(len, jpegs)), sum(map(len, jpegs[:15]))
    assert acks == [
        ("capture.open", 0, 0), ("capture.frame", 15, half), ("capture.frame", 30, size), ("capture.close", 30, size),
    ]  # fmt: skip
    for message in heard:
        assert (message["record_id"], message["user_id"]) == (opened["record_id"], "u1")
        assert (message["session_id"], message["source"]) == (session.session_id, "camera_feed_worker")
        assert message["schema_version"] == "1.0.1"
        assert clock.stamp(clock.parse(message["timestamp"])) == message["timestamp"]


def test_a_browser_authenticates_with_its_first_message(live, session):
    """GES-7."""
    with capture_socket(live.url) as socket:
        socket.say("capture.auth", token=live.token)
        assert socket.open(make_open(session))["ack"] == "capture.open"


@pytest.mark.parametrize("first", ['{"event":"capture.auth","token":"forged"}', '{"event":"capture.open"}', "no JSON"])
def test_without_a_valid_token_the_socket_closes_4401(live, session, first):
    """GES-7, GES-18: in Auth anything but a valid token."""
    with capture_socket(live.url) as socket:
        socket.connection.send(first)
        assert socket.outcome() == {}
        assert socket.close_code == 4401


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer forged"}, {"X-API-Key": "forged"}])
def test_a_forged_header_closes_4401(live, headers):
    """GES-7; a token in the URL is ignored."""
    with capture_socket(live.url, headers=headers, path=f"/ws/capture?token={live.token}") as socket:
        socket.outcome()
        assert socket.close_code == 4401


def test_nobody_needs_a_token_when_none_is_required(live, session, settings):
    """GES-7, SES-7; one that comes is verified all the same."""
    settings.AUTH_REQUIRED = False
    with capture_socket(live.url) as socket:
        assert socket.open(make_open(session))["ack"] == "capture.open"
        socket.say("capture.cancel")
        socket.outcome()
    with capture_socket(live.url) as socket:
        socket.say("capture.auth", token=live.token)
        assert socket.open(make_open(session))["ack"] == "capture.open"
    with capture_socket(live.url) as socket:
        socket.say("capture.auth", token="forged")
        socket.outcome()
        assert socket.close_code == 4401


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("served", True), ("https://app.example", True), ("https://evil.example", False), ("null", False),
     ("https://app.example.evil.example", False)],
)  # fmt: skip
def test_a_foreign_origin_is_refused_before_the_upgrade(live, settings, origin, allowed):
    """GES-8."""
    settings.ALLOWED_ORIGINS = ["https://app.example"]
    origin = live.url if origin == "served" else origin
    expected = nullcontext() if allowed else pytest.raises(InvalidStatus, match="HTTP 403")
    with expected, capture_socket(live.url, live.token, headers={"Origin": origin}):
        pass


def test_a_user_captures_for_itself_and_a_carer_for_anyone(live, session):
    """GES-9."""
    stranger = capture(live.url, make_token("u2"), make_open(session), [])
    assert (stranger["event"], stranger["error_code"], stranger["retry"]) == (
        "capture.abort",
        "user_not_allowed",
        False,
    )
    carer = make_token("carer01", roles=("user", "operator"))
    outcome = capture(live.url, carer, make_open(session, performer_id="carer01"), make_jpegs(3))
    assert outcome["event"] == "capture.completed"
    assert events("u1", session.session_id)[-1]["performer_id"] == "carer01"


def test_a_service_captures_with_its_key(live, session, settings):
    """GES-9, CON-11."""
    settings.SERVICE_API_KEYS = {"notes": "k" * 40}
    with capture_socket(live.url, headers={"X-API-Key": "k" * 40}) as socket:
        assert socket.open(make_open(session))["ack"] == "capture.open"


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"fps_target": 0}, "limit_fps_exceeded"),
        ({"fps_target": 16}, "limit_fps_exceeded"),
        ({"width": 641}, "limit_resolution_exceeded"),
        ({"height": 63}, "limit_resolution_exceeded"),
        ({"session_id": "sess_" + "0" * 16}, "session_invalid"),
    ],
)
def test_a_well_formed_open_is_refused_with_an_abort(live, session, over, code):
    """GES-18, GES-16: the abort names the record_id, then 1000."""
    opened = make_open(session, **over)
    with capture_socket(live.url, live.token) as socket:
        socket.connection.send(json.dumps(opened))
        outcome = socket.outcome()
        assert (outcome["event"], outcome["error_code"]) == ("capture.abort", code)
        assert (outcome["record_id"], socket.close_code) == (opened["record_id"], 1000)
    assert nothing_remains(session)


def test_a_malformed_open_is_an_error_and_1008(live, session):
    """GES-18, GES-20; what is malformed, test_protocol says."""
    with capture_socket(live.url, live.token) as socket:
        socket.connection.send(json.dumps(make_open(session, encoding="png")))
        outcome = socket.outcome()
        assert (outcome["event"], outcome["error_code"]) == ("capture.error", "protocol_violation")
        assert socket.close_code == 1008


def test_all_optional_members_of_an_open_are_taken(live, session):
    """GES-10, GES-13: and may be repeated later, null counting as absent."""
    opened = make_open(session, device_id="tablet-1", consent_given=True, is_demo=False, source="ui", modality="image")
    opened["capture_id"] = opened["record_id"]
    repeated = {name: value for name, value in opened.items() if name in (
        "user_id", "session_id", "timestamp", "record_id", "performer_id", "device_id", "consent_given", "is_demo",
        "schema_version", "source", "modality", "capture_id")}  # fmt: skip
    with capture_socket(live.url, live.token) as socket:
        assert socket.open(opened)["ack"] == "capture.open"
        socket.frame(1, make_jpeg(), 0, **{**repeated, "timestamp": at(77), "device_id": None})
        socket.say("capture.close", timestamp_end=at(2000), **repeated)
        assert socket.outcome()["event"] == "capture.completed"
    assert events("u1", session.session_id)[-1]["capture"]["device_id"] == "tablet-1"


@pytest.mark.parametrize(("text", "code"), [("no JSON", 1003), ("[1]", 1003), ('{"a":1,"a":2}', 1003), ("{}", 1008)])
def test_text_without_meaning_ends_an_idle_socket(live, text, code):
    """Close codes 1003 and 1008."""
    with capture_socket(live.url, live.token) as socket:
        socket.connection.send(text)
        assert socket.outcome()["event"] == "capture.error"
        assert socket.close_code == code


@pytest.mark.parametrize("over", [{"repeated": {"user_id": "u2"}}, {"text": "no JSON"}, {"text": '{"event":"x"}'},
                                  {"text": '{"event":"capture.frame_meta","seq":1}'}, {"text": " " * 16_385},
                                  {"text": json.dumps({"event": "capture.cancel", "x": 1})}])  # fmt: skip
def test_a_violation_while_capturing_aborts(live, session, over):
    """GES-13, GES-18, GES-3 text message: 1000 after the abort, nothing remains."""
    with capture_socket(live.url, live.token) as socket:
        socket.open(make_open(session))
        if "repeated" in over:
            socket.frame(1, make_jpeg(), 0, **over["repeated"])
        else:
            socket.connection.send(over["text"])
        outcome = socket.outcome()
        assert (outcome["error_code"], socket.close_code) == ("protocol_violation", 1000)
    assert nothing_remains(session)


def test_sizes_at_their_limits_pass(live, session):
    """GES-3, GES-84: a text of 16,384 bytes, a frame of 300,000 bytes."""
    with capture_socket(live.url, live.token) as socket:
        text = json.dumps(make_open(session))
        socket.connection.send(text + " " * (16_384 - len(text)))
        assert socket.hear()["ack"] == "capture.open"
        socket.frame(1, padded_jpeg(300_000), 0)
        socket.finish()
        assert socket.outcome()["frames"] == 1


@pytest.mark.parametrize("declared", [300_000, 300_001])
def test_a_frame_beyond_its_limit_is_refused(live, session, declared):
    """GES-3: by the declared length, else by the bytes."""
    with capture_socket(live.url, live.token) as socket:
        socket.open(make_open(session))
        socket.frame(1, padded_jpeg(300_001), 0, byte_length=declared)
        assert socket.outcome()["error_code"] == "limit_frame_bytes_exceeded"


def test_a_binary_message_at_the_transport_bound_is_a_frame_too_large(live, session):
    """GES-3: 1 MiB still has the limit's own code."""
    with capture_socket(live.url, live.token) as socket:
        socket.open(make_open(session))
        socket.connection.send(bytes(1_048_576))
        assert socket.outcome()["error_code"] == "limit_frame_bytes_exceeded"


def test_a_defect_closes_1011_after_its_abort(live, session, monkeypatch):
    """Close code 1011: internal_error, and nothing remains."""
    monkeypatch.setattr(features, "store", lambda extracted: 1 / 0)
    with capture_socket(live.url, live.token) as socket:
        socket.open(make_open(session))
        socket.frames(make_jpegs(2))
        socket.finish()
        outcome = socket.outcome()
    assert (outcome["event"], outcome["error_code"], outcome["retry"]) == ("capture.abort", "internal_error", False)
    assert socket.close_code == 1011
    assert nothing_remains(session)


def test_a_message_over_the_transport_bound_closes_1009(live, session):
    """Close code 1009; the capture is gone with its socket."""
    with capture_socket(live.url, live.token) as socket:
        socket.open(make_open(session))
        # In two frames: a server that refuses one by its header leaves it unread, and the reset may overtake the close.
        socket.connection.send([bytes(1_048_576), b"\0"])
        socket.outcome()
        assert socket.close_code == 1009
    assert eventually(lambda: nothing_remains(session))


@pytest.mark.parametrize(
    ("picture", "code"),
    [(make_jpeg(size=(64, 65)), "frame_size_mismatch"), (b"GIF89a" + bytes(99), "frame_decode_failed"),
     (make_jpeg()[:400], "frame_decode_failed")],
)  # fmt: skip
def test_a_picture_that_is_not_the_announced_one_aborts(live, session, picture, code):
    """GES-35, GES section 4."""
    with capture_socket(live.url, live.token) as socket:
        socket.open(make_open(session))
        socket.frame(1, picture, 0)
        assert socket.outcome()["error_code"] == code
    assert nothing_remains(session)


def test_a_cancel_leaves_nothing(live, session):
    """GES-28, GES-79; the record_id stays free."""
    opened = make_open(session)
    with capture_socket(live.url, live.token) as socket:
        socket.open(opened)
        socket.frames(make_jpegs(3))
        socket.say("capture.cancel")
        assert socket.outcome()["error_code"] == "cancelled"
    assert nothing_remains(session)
    assert capture(live.url, live.token, opened, make_jpegs(3))["event"] == "capture.completed"


def test_a_dropped_socket_leaves_nothing(live, session):
    """GES-18: a disconnect before the close cancels."""
    with capture_socket(live.url, live.token) as socket:
        socket.open(make_open(session))
        socket.frames(make_jpegs(3))
        socket.connection.socket.close()
    assert eventually(lambda: not CaptureSlot.objects.exists())
    assert nothing_remains(session)


def test_a_client_that_leaves_after_its_close_is_served_all_the_same(live, session):
    """GES-18: Draining, disconnect: finish and store; GES-27: then GET."""
    opened = make_open(session)
    with capture_socket(live.url, live.token) as socket:
        socket.open(opened)
        socket.frames(make_jpegs(20))
        socket.finish()
        socket.connection.close()
    assert eventually(lambda: FeatureRef.objects.filter(record_id=opened["record_id"]).exists())


def test_a_session_that_ends_takes_its_capture_along(live, session):
    """SES-21: aborted with session_closed, at once, by the notice; nothing remains."""
    with capture_socket(live.url, live.token) as socket:
        socket.open(make_open(session))
        socket.frames(make_jpegs(3))
        began = time.monotonic()
        sessions.end(session.session_id, user_id="u1", performer_id="u1", by=make_caller())
        assert socket.outcome()["error_code"] == "session_closed"
        assert time.monotonic() - began < 4  # sooner than the recheck
    assert nothing_remains(session)
    assert [event["event"] for event in events("u1", session.session_id)] == ["session.start", "session.end"]


def test_a_session_that_ended_unnoticed_is_found_by_the_recheck(live, session, monkeypatch):
    """GES-4: the notice may be lost with Redis."""
    monkeypatch.setattr(limits, "REVALIDATE_S", 0.2)
    with capture_socket(live.url, live.token) as socket:
        socket.open(make_open(session))
        close_unnoticed(session)
        assert socket.outcome()["error_code"] == "session_closed"


def test_that_the_session_ended_outranks_every_other_reason(live, session):
    """GES-18: also when nobody has noticed it yet."""
    with capture_socket(live.url, live.token) as socket:
        socket.open(make_open(session))
        close_unnoticed(session)
        socket.say("capture.cancel")
        assert socket.outcome()["error_code"] == "session_closed"


def close_unnoticed(session):
    """The row alone: no notice goes out, as when Redis is away."""
    record_id = "7f0f1f7e-6c6e-4b0e-8a0b-2f6f5b0a1d22"
    Session.objects.filter(pk=session.pk).update(status="closed", end_time=clock.now(), end_record_id=record_id)


def test_a_closed_session_takes_no_capture(live, session):
    """GES section 4; the capture API spells it session_closed."""
    sessions.end(session.session_id, user_id="u1", performer_id="u1", by=make_caller())
    assert capture(live.url, live.token, make_open(session), [])["error_code"] == "session_closed"


def test_one_capture_at_a_time(live, session):
    """GES-3, GES-26: capture_in_progress may be tried again; the second leaves the first alone."""
    with capture_socket(live.url, live.token) as socket:
        socket.open(make_open(session))
        second = capture(live.url, live.token, make_open(session), [])
        assert (second["error_code"], second["retry"]) == ("capture_in_progress", True)
        socket.frames(make_jpegs(3))
        socket.finish()
        assert socket.outcome()["event"] == "capture.completed"


def test_a_complete_record_id_is_used(live, session):
    """GES section 4."""
    opened = make_open(session)
    capture(live.url, live.token, opened, make_jpegs(3))
    again = capture(live.url, live.token, opened, make_jpegs(3))
    assert (again["error_code"], again["retry"]) == ("record_id_used", False)


def test_every_worker_taken_is_busy(live, session):
    """GES section 4: extractor_busy; two workers serve two captures at once."""
    others = [make_session(f"v{number}") for number in range(2)]
    carer = make_token("carer01", roles=("operator",))
    with capture_socket(live.url, carer) as one, capture_socket(live.url, carer) as two:
        assert [one.open(make_open(others[0]))["ack"], two.open(make_open(others[1]))["ack"]] == ["capture.open"] * 2
        refused = capture(live.url, live.token, make_open(session), [])
        assert (refused["error_code"], refused["retry"]) == ("extractor_busy", True)
        assert not CaptureSlot.objects.filter(session=session).exists()


def test_ten_connections_per_caller(live):
    """Close code 4429."""
    with ExitStack() as held:
        for _ in range(10):
            held.enter_context(capture_socket(live.url, live.token))
        assert eventually(lambda: [sum(one._connections.values()) for one in running._running.values()] == [10])
        with capture_socket(live.url, live.token) as one_more:
            one_more.outcome()
            assert one_more.close_code == 4429


def test_captures_are_limited_per_minute(live, session, settings):
    """GES-25: the socket closes 4429."""
    settings.RATE_CAPTURE = "1/d"
    assert capture(live.url, live.token, make_open(session), make_jpegs(2))["event"] == "capture.completed"
    with capture_socket(live.url, live.token) as socket:
        socket.connection.send(json.dumps(make_open(session)))
        socket.outcome()
        assert socket.close_code == 4429


def test_a_worker_that_dies_harms_only_its_own_capture(live, session):
    """GES-35: extractor_failed; the other goes on, and the dead one is replaced."""
    other = make_session("u2")
    with capture_socket(live.url, live.token) as mine, capture_socket(live.url, make_token("u2")) as theirs:
        before = ready_workers()
        mine.open(make_open(session))
        theirs.open(make_open(other))
        busy = make_jpegs(3)
        mine.frames(busy)
        theirs.frames(busy)
        os.kill(before[0], signal.SIGKILL)
        outcomes = []
        for socket in (mine, theirs):
            with suppress(ConnectionClosed):
                socket.finish()
            outcomes.append(socket.outcome())
    assert sorted(outcome["event"] for outcome in outcomes) == ["capture.abort", "capture.completed"]
    assert next(o for o in outcomes if o["event"] == "capture.abort")["error_code"] == "extractor_failed"
    assert eventually(lambda: len(set(workers()) - {before[0]}) == 2)
    assert capture(live.url, live.token, make_open(session), busy)["event"] == "capture.completed"


@pytest.mark.parametrize("frames", [1, 50])
@pytest.mark.parametrize("at_the_close", [False, True])
def test_a_worker_killed_at_any_time_fails_the_capture(live, session, frames, at_the_close):
    """GES-28, GES-35: nothing remains, and the same frames under the same record_id then complete."""
    opened, jpegs = make_open(session), make_jpegs(frames)
    both = ready_workers()
    with capture_socket(live.url, live.token) as socket:
        socket.open(opened)
        socket.frames(jpegs, duration_ms=4000)
        if at_the_close:
            for pid in both:
                os.kill(pid, signal.SIGSTOP)  # the rows are not complete when the close comes
            socket.frame(frames + 1, jpegs[0], 4000)
            socket.finish(4000)
        for pid in both:
            os.kill(pid, signal.SIGKILL)
        outcome = socket.outcome()
    assert (outcome["event"], outcome["error_code"], outcome["retry"]) == ("capture.abort", "extractor_failed", True)
    assert nothing_remains(session)
    assert not set(ready_workers()) & set(both)
    assert capture(live.url, live.token, opened, jpegs, ms=4000)["frames"] == frames


def test_a_worker_that_hangs_is_replaced(live, session, monkeypatch):
    """GES-35, GES-18: cancelled meanwhile, then killed and replaced."""
    monkeypatch.setattr(child, "SETTLE_S", 0.2)
    before = ready_workers()
    with capture_socket(live.url, live.token) as socket:
        socket.open(make_open(session))
        for pid in before:
            os.kill(pid, signal.SIGSTOP)
        socket.frame(1, make_jpeg(), 0)
        socket.say("capture.cancel")
        assert socket.outcome()["error_code"] == "cancelled"
    assert eventually(lambda: set(before) - set(workers()), 7)
    for pid in set(before) & set(workers()):
        os.kill(pid, signal.SIGCONT)
    assert eventually(lambda: len(workers()) == 2)


def test_a_leaving_process_takes_no_open(live, session, monkeypatch):
    """GES-39."""
    monkeypatch.setattr(drain, "_draining", True)
    assert capture(live.url, live.token, make_open(session), [])["error_code"] == "server_shutdown"
