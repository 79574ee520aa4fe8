"""Every arrow of the state machine (GES-18), every timer (GES-4, GES-5), every rule on messages (GES-11 to GES-14)."""

import datetime as dt
from dataclasses import replace

import pytest

from gestures import capture, errors, limits
from gestures.machine import moves, rules
from gestures.machine.progress import Capture, Phase
from sessions_app.kinds import RateLimited, Unauthenticated

START = dt.datetime(2026, 3, 2, 9, 20, tzinfo=dt.UTC)
OPEN = moves.Open("r1", "u1", "s1", "u1", START, 15, 64, 64, header={"user_id": "u1", "source": "ui"})
GONE = moves.Failed(errors.SessionClosed())
RUNNING = (Phase.ACTIVE, Phase.PENDING, Phase.DRAINING)


def ms(count):
    return START + dt.timedelta(milliseconds=count)


def meta(seq=1, at=0, size=10, **repeated):
    return moves.FrameMeta(seq, ms(at), size, repeated)


def standing(phase, now=0.0, **over):
    """A capture in `phase`, with three frames accepted once it runs."""
    runs = phase not in (Phase.AUTH, Phase.IDLE)
    over = {"opened": OPEN if runs else None, "frames": 3, "size_bytes": 30, "last_frame": ms(200), **over}
    if phase is Phase.PENDING:
        over.setdefault("meta", meta(4, 300))
    return Capture(phase, since=now, opened_at=now, heard_at=now, checked_at=now, **over)


def after(state, *events, now=0.0):
    """The state and the actions of the last event."""
    actions: tuple[moves.Action, ...] = ()
    for event in events:
        state, actions = capture.step(state, event, now)
    return state, actions


def kinds(actions):
    return [type(action) for action in actions]


def aborted(actions):
    """The error code of an abort that let go of the worker first and closed normally."""
    assert kinds(actions) == [moves.Discard, moves.Abort, moves.HangUp]
    assert actions[2].code == (1011 if actions[1].error.code == "INTERNAL_ERROR" else 1000)
    return errors.error_code(actions[1].error)


def closes_with(actions):
    assert kinds(actions) == [moves.HangUp]
    return actions[0].code


# Auth


def test_a_valid_token_leads_to_idle():
    """Auth, valid token."""
    state, actions = after(capture.connected(0, authenticated=False), moves.Auth("t"))
    assert actions == (moves.Authenticate("t"),)
    assert after(state, moves.Authenticated(), now=1.0)[0] == Capture(Phase.IDLE, since=1.0)


@pytest.mark.parametrize(
    "event",
    [OPEN, meta(), moves.Frame(b"x"), moves.Close(START), moves.Cancel(), moves.Garbled("x", 1003),
     moves.Failed(Unauthenticated())],
)  # fmt: skip
def test_anything_but_a_token_is_unauthenticated(event):
    """Auth, anything else: 4401, also for text that is no JSON."""
    state, actions = after(capture.connected(0, authenticated=False), event)
    assert (state.phase, closes_with(actions)) == (Phase.CLOSED, 4401)


def test_authentication_has_five_seconds():
    """GES-4."""
    state = capture.connected(0, authenticated=False)
    assert capture.deadline(state) == 5
    assert after(state, moves.Tick(), now=4.9) == (state, ())
    assert closes_with(after(state, moves.Tick(), now=5.0)[1]) == 4401


# Idle


def test_an_open_asks_for_admission_and_then_acks():
    """Idle, capture.open; GES-14."""
    state, actions = after(capture.connected(0, authenticated=True), OPEN)
    assert (state.phase, actions) == (Phase.OPENING, (moves.Admit(OPEN),))
    assert not state.reading
    state, actions = after(state, moves.Admitted(), now=3.0)
    assert (state.phase, actions) == (Phase.ACTIVE, (moves.Acknowledge("capture.open", 0, 0),))
    assert state.opened_at == 3.0


@pytest.mark.parametrize(
    ("over", "code"),
    [({"fps_target": 16}, "limit_fps_exceeded"), ({"width": 641}, "limit_resolution_exceeded")],
)
def test_an_open_beyond_a_limit_is_aborted(over, code):
    """Idle, open refused: there is a capture, so it is an abort and 1000."""
    state, actions = after(capture.connected(0, authenticated=True), replace(OPEN, **over))
    assert (state.phase, aborted(actions)) == (Phase.CLOSED, code)


@pytest.mark.parametrize(
    "leaf",
    [errors.UserNotAllowed, errors.SessionInvalid, errors.SessionClosed, errors.RecordIdUsed, errors.CaptureInProgress,
     errors.ExtractorBusy, errors.ExtractorUnavailable, errors.ServerShutdown, errors.StoreFailed],
)  # fmt: skip
def test_an_open_that_is_not_admitted_is_aborted(leaf):
    """Idle, open refused."""
    state, actions = after(standing(Phase.OPENING), moves.Failed(leaf()))
    assert (state.phase, aborted(actions)) == (Phase.CLOSED, errors.error_code(leaf()))


@pytest.mark.parametrize("event", [meta(), moves.Frame(b"x"), moves.Close(START), moves.Cancel(), moves.Auth("t")])
def test_anything_but_an_open_is_an_error(event):
    """Idle, anything else: capture.error and 1008."""
    state, actions = after(capture.connected(0, authenticated=True), event)
    assert (state.phase, kinds(actions)) == (Phase.CLOSED, [moves.Complain, moves.HangUp])
    assert (actions[0].error.code, actions[1].code) == ("PROTOCOL_VIOLATION", 1008)


@pytest.mark.parametrize("code", [1008, 1003])
def test_a_garbled_message_ends_an_idle_socket_with_its_code(code):
    """GES-20, and 1003 for what is no JSON object."""
    _, actions = after(capture.connected(0, authenticated=True), moves.Garbled("no", code))
    assert (kinds(actions), actions[1].code) == ([moves.Complain, moves.HangUp], code)


def test_an_open_has_ten_seconds_after_authentication():
    """GES-4."""
    state, _ = after(capture.connected(0, authenticated=False), moves.Authenticated(), now=3.0)
    assert capture.deadline(state) == 13
    _, actions = after(state, moves.Tick(), now=13.0)
    assert (kinds(actions), actions[1].code) == ([moves.Complain, moves.HangUp], 1008)


def test_a_token_that_nobody_asked_for_still_counts():
    """GES-7: without required authentication a token may come, is verified, and names the caller."""
    state, actions = after(capture.connected(0, authenticated=True, token_welcome=True), moves.Auth("t"))
    assert actions == (moves.Authenticate("t"),)
    assert closes_with(after(state, moves.Failed(Unauthenticated()))[1]) == 4401
    again, _ = after(state, moves.Authenticated())
    assert kinds(after(again, moves.Auth("t"))[1]) == [moves.Complain, moves.HangUp]


@pytest.mark.parametrize("phase", [Phase.AUTH, Phase.IDLE])
@pytest.mark.parametrize(("error", "code"), [(RateLimited(), 4429), (errors.InternalError(), 1011)])
def test_a_caller_is_turned_away_before_a_capture(phase, error, code):
    """Close codes: 4429 and 1011."""
    assert closes_with(after(standing(phase), moves.Failed(error))[1]) == code


def test_too_many_opens_close_4429_without_an_abort():
    """GES-25; an upload gets its error instead."""
    state = standing(Phase.OPENING)
    assert after(state, moves.Failed(RateLimited()))[1] == (moves.Discard(), moves.HangUp(4429))
    assert aborted(after(replace(state, upload=True), moves.Failed(RateLimited()))[1]) == "rate_limited"


# Active and pending


def test_a_meta_then_its_frame_is_counted_and_forwarded():
    """Active to Pending and back; GES-19: counters move only with the frame."""
    state, actions = after(standing(Phase.ACTIVE), meta(4, 300, 10))
    assert (state.phase, state.frames, actions) == (Phase.PENDING, 3, ())
    state, actions = after(state, moves.Frame(b"0123456789"))
    assert (state.phase, state.frames, state.size_bytes) == (Phase.ACTIVE, 4, 40)
    assert actions == (moves.Forward(b"0123456789"),)


def test_every_fifteenth_frame_is_acknowledged():
    """GES-14."""
    _, actions = after(standing(Phase.ACTIVE, frames=14, rows=14), meta(15, 300), moves.Frame(bytes(10)))
    assert actions[1] == moves.Acknowledge("capture.frame", 15, 40)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (meta(5, 300), "protocol_violation"),
        (meta(3, 300), "protocol_violation"),
        (meta(4, 199), "protocol_violation"),
        (meta(4, 300, 0), "limit_frame_bytes_exceeded"),
        (meta(4, 300, 300_001), "limit_frame_bytes_exceeded"),
        (meta(4, 120_001), "limit_duration_exceeded"),
        (meta(4, 300, user_id="u2"), "protocol_violation"),
        (meta(4, 300, device_id="d1"), "protocol_violation"),
        (moves.Frame(b"x"), "protocol_violation"),
        (moves.Frame(bytes(300_001)), "limit_frame_bytes_exceeded"),
        (OPEN, "protocol_violation"),
        (moves.Auth("t"), "protocol_violation"),
        (moves.Garbled("no JSON", 1003), "protocol_violation"),
        (moves.Cancel(), "cancelled"),
        (moves.Cancel({"user_id": "u2"}), "protocol_violation"),
        (moves.RowsDone(), "extractor_failed"),
    ],
)
def test_active_ends_with_the_reason(event, code):
    """Active: second open, bad order, limits; GES-11, GES-13."""
    state, actions = after(standing(Phase.ACTIVE), event)
    assert (state.phase, aborted(actions)) == (Phase.CLOSED, code)


def test_a_first_frame_before_the_start_is_refused():
    """GES-11."""
    state = standing(Phase.ACTIVE, frames=0, size_bytes=0, last_frame=None)
    assert aborted(after(state, meta(1, -1))[1]) == "protocol_violation"


def test_what_repeats_the_open_passes():
    """GES-13: `timestamp` may differ, the others may not."""
    assert (
        after(standing(Phase.ACTIVE), meta(4, 300, user_id="u1", source="ui", timestamp="x"))[0].phase is Phase.PENDING
    )


def test_limits_come_before_order():
    """GES-3: an oversized frame out of sequence is a limit."""
    assert aborted(after(standing(Phase.ACTIVE), meta(9, 0, 300_001))[1]) == "limit_frame_bytes_exceeded"


def test_the_last_frame_and_the_last_byte_pass():
    """GES-3, GES-84: 1,800 frames and 120,000,000 bytes, and one beyond."""
    state = standing(Phase.ACTIVE, frames=1_799, rows=1_799, size_bytes=119_999_990)
    full, _ = after(state, meta(1_800, 300, 10), moves.Frame(bytes(10)))
    assert (full.frames, full.size_bytes) == (1_800, 120_000_000)
    assert aborted(after(full, meta(1_801, 300, 10))[1]) == "limit_frame_count_exceeded"
    assert aborted(after(state, meta(1_800, 300, 11))[1]) == "limit_total_bytes_exceeded"


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (moves.Frame(bytes(9)), "protocol_violation"),
        (moves.Frame(b""), "limit_frame_bytes_exceeded"),
        (moves.Frame(bytes(300_001)), "limit_frame_bytes_exceeded"),
        (meta(4, 300), "protocol_violation"),
        (moves.Close(ms(2000)), "protocol_violation"),
        (OPEN, "protocol_violation"),
        (moves.Garbled("x"), "protocol_violation"),
        (moves.Cancel(), "cancelled"),
    ],
)
def test_pending_ends_with_the_reason(event, code):
    """Pending: text, or another length."""
    state, actions = after(standing(Phase.PENDING), event)
    assert (state.phase, aborted(actions), state.frames) == (Phase.CLOSED, code, 3)


def test_a_close_within_limits_drains():
    """Active, capture.close: ack, and the extractor is told."""
    state, actions = after(standing(Phase.ACTIVE), moves.Close(ms(2000)))
    assert (state.phase, state.timestamp_end) == (Phase.DRAINING, ms(2000))
    assert actions == (moves.Acknowledge("capture.close", 3, 30), moves.Finish())


@pytest.mark.parametrize(
    ("at", "over", "code"),
    [
        (1_999, {}, "limit_duration_too_short"),
        (-5_000, {}, "limit_duration_too_short"),
        (120_001, {}, "limit_duration_exceeded"),
        (2_000, {"frames": 33}, "limit_fps_exceeded"),
        (2_000, {"frames": 0, "last_frame": None}, "capture_empty"),
        (2_000, {"last_frame": ms(2_001)}, "protocol_violation"),
    ],
)
def test_a_close_against_the_rules_aborts(at, over, code):
    """GES-3, GES-12: limits first."""
    assert aborted(after(standing(Phase.ACTIVE, **over), moves.Close(ms(at)))[1]) == code


# Draining and storing


def test_complete_rows_are_stored_and_reported():
    """Draining, rows complete; Storing, stored: completed and 1000."""
    state, actions = after(standing(Phase.DRAINING, rows=2), moves.RowArrived(), moves.RowsDone())
    assert (state.phase, actions) == (Phase.STORING, (moves.Store(),))
    state, actions = after(state, moves.Stored())
    assert (state.phase, actions) == (Phase.CLOSED, (moves.Complete(), moves.HangUp(1000)))


def test_a_missing_row_fails_the_capture():
    """GES-19: T equals the accepted frames, or there is no result."""
    assert aborted(after(standing(Phase.DRAINING, rows=2), moves.RowsDone())[1]) == "extractor_failed"
    assert aborted(after(standing(Phase.DRAINING, rows=3), moves.RowArrived())[1]) == "extractor_failed"


@pytest.mark.parametrize("event", [meta(), moves.Frame(b"x"), OPEN, moves.Close(ms(2000)), moves.Garbled("x")])
def test_draining_takes_no_other_message(event):
    """Draining, any other client message."""
    assert aborted(after(standing(Phase.DRAINING), event)[1]) == "protocol_violation"


def test_draining_can_be_cancelled():
    """Draining, capture.cancel."""
    assert aborted(after(standing(Phase.DRAINING), moves.Cancel())[1]) == "cancelled"


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.STORING])
def test_a_client_that_leaves_after_its_close_changes_nothing(phase):
    """Draining and Storing, disconnect: finish and store; the client asks by GET."""
    state, actions = after(standing(phase), moves.Disconnected())
    assert (state.phase, state.connected, state.reading, actions) == (phase, False, False, ())


@pytest.mark.parametrize(
    "event", [meta(), moves.Frame(b"x"), OPEN, moves.Close(START), moves.Cancel(), moves.Garbled("x")]
)
def test_storing_listens_to_nobody(event):
    """Storing, message: unchanged."""
    state, actions = after(standing(Phase.STORING), event)
    assert (state.phase, actions) == (Phase.STORING, ())


@pytest.mark.parametrize("leaf", [errors.StoreFailed, errors.RecordIdUsed, errors.SessionClosed])
def test_a_failed_store_aborts(leaf):
    """GES-47."""
    assert aborted(after(standing(Phase.STORING), moves.Failed(leaf()))[1]) == errors.error_code(leaf())


# In any running phase


@pytest.mark.parametrize("phase", RUNNING)
@pytest.mark.parametrize(
    "leaf", [errors.SessionClosed, errors.SessionInvalid, errors.ExtractorFailed, errors.InternalError]
)
def test_a_running_capture_ends_with_what_befalls_it(phase, leaf):
    """Active, Pending, Draining: session no longer active; a worker that died; a defect closes 1011."""
    state, actions = after(standing(phase), moves.Failed(leaf()))
    assert (state.phase, aborted(actions)) == (Phase.CLOSED, errors.error_code(leaf()))


@pytest.mark.parametrize("phase", [Phase.AUTH, Phase.IDLE, Phase.OPENING, Phase.ACTIVE, Phase.PENDING])
def test_a_client_that_leaves_before_its_close_cancels(phase):
    """Active, Pending, disconnect: as cancelled, nothing sent."""
    state, actions = after(standing(phase), moves.Disconnected())
    assert (state.phase, actions) == (Phase.CLOSED, (moves.Discard(),))


@pytest.mark.parametrize("phase", [Phase.AUTH, Phase.IDLE])
def test_a_leaving_server_closes_what_is_not_open(phase):
    """Close code 1001."""
    assert closes_with(after(standing(phase), moves.Leaving())[1]) == 1001


@pytest.mark.parametrize("phase", [Phase.OPENING, *RUNNING])
def test_a_leaving_server_gives_running_captures_their_time(phase):
    """GES-39."""
    state, actions = after(standing(phase), moves.Leaving())
    assert (state.phase, actions) == (phase, ())
    assert aborted(after(state, moves.Leaving(at_once=True))[1]) == "server_shutdown"


def test_nothing_happens_to_a_closed_capture():
    """Closed is the end."""
    state = standing(Phase.CLOSED)
    for event in (OPEN, GONE, moves.RowArrived(), moves.Tick(), moves.Disconnected(), moves.Leaving(at_once=True)):
        assert after(state, event, now=1e6)[1] == ()


# Timers


@pytest.mark.parametrize(
    ("phase", "over", "at", "code"),
    [
        (Phase.ACTIVE, {"checked_at": 99}, 5.0, "protocol_violation"),
        (Phase.PENDING, {"checked_at": 99}, 2.0, "protocol_violation"),
        (Phase.ACTIVE, {"checked_at": 999, "heard_at": 124}, 125.0, "limit_duration_exceeded"),
        (Phase.ACTIVE, {"checked_at": 99, "paused_at": 3.0}, 13.0, "limit_forward_buffer_exceeded"),
        (Phase.DRAINING, {"checked_at": 99}, 30.0, "drain_timeout"),
        (Phase.ACTIVE, {"checked_at": 99, "upload": True}, 10.0, "protocol_violation"),
        (Phase.DRAINING, {"checked_at": 999, "since": 170, "upload": True}, 180.0, "drain_timeout"),
        (Phase.OPENING, {"upload": True}, 180.0, "drain_timeout"),
    ],
)
def test_a_timer_ends_the_capture_at_its_time(phase, over, at, code):
    """GES-4, each row."""
    state = replace(standing(phase), **over)
    assert capture.deadline(state) == at
    assert after(state, moves.Tick(), now=at - 0.001) == (state, ())
    assert aborted(after(state, moves.Tick(), now=at)[1]) == code


@pytest.mark.parametrize("phase", RUNNING)
def test_the_session_is_rechecked_every_five_seconds(phase):
    """GES-4, SES-54."""
    state = standing(phase, now=1.0)
    state = replace(state, heard_at=5.5)
    state, actions = after(state, moves.Tick(), now=6.0)
    assert (actions, state.checked_at, state.phase) == ((moves.Revalidate(),), 6.0, phase)


def test_storing_and_closed_are_not_timed():
    """GES-4: a store ends by itself."""
    assert [capture.deadline(standing(phase)) for phase in (Phase.STORING, Phase.CLOSED)] == [None, None]


def test_a_full_queue_stops_reading_and_the_frame_timers():
    """GES-5, GES-33: 45 frames unanswered; time while paused does not count against the client."""
    state = standing(Phase.ACTIVE, frames=44, rows=0)
    state, _ = after(state, meta(45, 300), moves.Frame(bytes(10)), now=1.0)
    assert (state.paused_at, state.reading) == (1.0, False)
    state, _ = after(state, moves.RowArrived(), now=4.0)
    assert (state.paused_at, state.reading, state.heard_at) == (None, True, 4.0)
    assert limits.MAX_FORWARDED_FRAMES * limits.MAX_FRAME_BYTES == 13_500_000


def test_bytes_of_an_upload_keep_it_alive():
    """GES-4: no byte received for 10 s."""
    state, _ = after(standing(Phase.ACTIVE, upload=True), moves.Heard(), now=8.0)
    assert (state.heard_at, capture.deadline(replace(state, checked_at=99))) == (8.0, 18.0)


# Uploads


def test_an_upload_begins_with_its_admission():
    """GES-22; its clock is that of the request."""
    state, actions = capture.uploading(OPEN, 7.0)
    assert (state.phase, actions) == (Phase.OPENING, (moves.Admit(OPEN),))
    assert after(state, moves.Admitted(), now=9.0)[0].opened_at == 7.0


def test_an_upload_is_foreseen_by_the_same_rules():
    """GES-22: the first refusal of what it declares."""
    good = [meta(1, 0), meta(2, 1000)]
    rules.foresee(OPEN, good, moves.Close(ms(2000)))
    for metas, end, leaf in [
        ([], 2000, errors.CaptureEmpty),
        ([meta(2)], 2000, errors.ProtocolViolation),
        (good, 1999, errors.LimitDurationTooShort),
        ([meta(1, 0, 300_001)], 2000, errors.LimitFrameBytesExceeded),
        ([meta(seq + 1, seq) for seq in range(1801)], 120_000, errors.LimitFrameCountExceeded),
    ]:
        with pytest.raises(leaf):
            rules.foresee(OPEN, metas, moves.Close(ms(end)))
    with pytest.raises(errors.LimitFpsExceeded):
        rules.foresee(replace(OPEN, fps_target=0), good, moves.Close(ms(2000)))
