"""Every limit at its value, and one beyond (GES-3, GES-84)."""

import datetime as dt

import pytest

from gestures import errors, limits


def ms(count):
    return dt.timedelta(milliseconds=count)


@pytest.mark.parametrize(
    ("check", "arguments"),
    [
        (limits.check_picture, (1, 64, 64)),
        (limits.check_picture, (15, 640, 480)),
        (limits.check_picture, (15, 480, 640)),
        (limits.check_frame_bytes, (1,)),
        (limits.check_frame_bytes, (300_000,)),
        (limits.check_count, (1_800,)),
        (limits.check_total_bytes, (120_000_000,)),
        (limits.check_elapsed, (ms(120_000),)),
        (limits.check_duration, (ms(2_000),)),
        (limits.check_duration, (ms(120_000),)),
        (limits.check_rate, (32, ms(2_000))),
        (limits.check_rate, (1_800, ms(120_000))),
    ],
)
def test_a_value_at_its_limit_passes(check, arguments):
    """GES-3: the check says nothing."""
    assert check(*arguments) is None


@pytest.mark.parametrize(
    ("check", "arguments", "leaf"),
    [
        (limits.check_picture, (0, 64, 64), errors.LimitFpsExceeded),
        (limits.check_picture, (16, 64, 64), errors.LimitFpsExceeded),
        (limits.check_picture, (15, 63, 64), errors.LimitResolutionExceeded),
        (limits.check_picture, (15, 64, 63), errors.LimitResolutionExceeded),
        (limits.check_picture, (15, 641, 480), errors.LimitResolutionExceeded),
        (limits.check_picture, (15, 640, 481), errors.LimitResolutionExceeded),
        (limits.check_picture, (15, 481, 640), errors.LimitResolutionExceeded),
        (limits.check_frame_bytes, (0,), errors.LimitFrameBytesExceeded),
        (limits.check_frame_bytes, (300_001,), errors.LimitFrameBytesExceeded),
        (limits.check_count, (1_801,), errors.LimitFrameCountExceeded),
        (limits.check_total_bytes, (120_000_001,), errors.LimitTotalBytesExceeded),
        (limits.check_elapsed, (ms(120_001),), errors.LimitDurationExceeded),
        (limits.check_duration, (ms(1_999),), errors.LimitDurationTooShort),
        (limits.check_duration, (ms(-1),), errors.LimitDurationTooShort),
        (limits.check_duration, (ms(120_001),), errors.LimitDurationExceeded),
        (limits.check_rate, (33, ms(2_000)), errors.LimitFpsExceeded),
    ],
)
def test_one_beyond_a_limit_is_refused_with_its_code(check, arguments, leaf):
    """GES-3: the code of the row, also below a minimum."""
    with pytest.raises(leaf):
        check(*arguments)


def test_the_rate_is_the_contracts_formula():
    """GES-3: T <= 15.5 * duration_s + 1, without rounding."""
    for frames, milliseconds in [(32, 2_000), (33, 2_064), (33, 2_065), (1801, 116_129), (1801, 116_130)]:
        allowed = frames <= 15.5 * milliseconds / 1000 + 1
        try:
            limits.check_rate(frames, ms(milliseconds))
        except errors.LimitFpsExceeded:
            assert not allowed
        else:
            assert allowed


@pytest.mark.parametrize(
    ("leaf", "status", "retry"),
    [
        (errors.ProtocolViolation, 400, False),
        (errors.LimitDurationTooShort, 400, False),
        (errors.LimitFrameCountExceeded, 413, False),
        (errors.LimitFrameBytesExceeded, 413, False),
        (errors.LimitTotalBytesExceeded, 413, False),
        (errors.CaptureEmpty, 400, False),
        (errors.FrameDecodeFailed, 400, False),
        (errors.FrameSizeMismatch, 400, False),
        (errors.UserNotAllowed, 403, False),
        (errors.SessionInvalid, 404, False),
        (errors.SessionClosed, 409, False),
        (errors.RecordIdUsed, 409, False),
        (errors.CaptureInProgress, 409, True),
        (errors.LimitForwardBufferExceeded, 503, True),
        (errors.ExtractorBusy, 503, True),
        (errors.ExtractorUnavailable, 503, True),
        (errors.ExtractorFailed, 502, True),
        (errors.DrainTimeout, 504, True),
        (errors.StoreFailed, 503, True),
        (errors.ServerShutdown, 503, True),
        (errors.InternalError, 500, False),
    ],
)
def test_each_error_has_the_tables_status_and_retry(leaf, status, retry):
    """GES section 4, GES-26: 503 also says when to come again."""
    error = leaf()
    assert (error.status, errors.worth_retrying(error)) == (status, retry)
    assert error.retry_after == (2 if status == 503 else None)
    assert errors.error_code(error) == error.code.lower()
