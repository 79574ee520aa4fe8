"""The limits and timers of a capture (GES-3 to GES-5). They are rules of the product, not settings.

A value equal to a limit passes, one beyond is refused; each check raises the leaf of its row. Pure.
"""

import datetime as dt

from gestures import errors

MIN_DURATION = dt.timedelta(seconds=2)  # seed 004: 2 s to 120 s
MAX_DURATION = dt.timedelta(seconds=120)
MAX_CONNECTED_S = 125.0  # server clock, from the open ack: 120 s and slack for a slow start
MAX_FPS = 15  # seed 004
MIN_SIDE_PX = 64
MAX_LONG_SIDE_PX = 640  # seed 004: at most 480p, in either orientation
MAX_SHORT_SIDE_PX = 480
MAX_FRAMES = 1_800  # 120 s at 15 fps
MAX_FRAME_BYTES = 300_000
MAX_TOTAL_BYTES = 120_000_000
MAX_TEXT_BYTES = 16_384
MAX_TRANSPORT_BYTES = 1_048_576  # above this the socket itself closes 1009
MAX_UPLOAD_BYTES = 121_000_000
MAX_META_BYTES = 262_144
MAX_FORWARDED_FRAMES = 45  # 3 s at 15 fps, at most 45 * 300,000 = 13,500,000 bytes
MAX_CONNECTIONS_PER_CALLER = 10

AUTH_S = 5.0
OPEN_S = 10.0
FRAME_AFTER_META_S = 2.0
SILENCE_S = 5.0
REVALIDATE_S = 5.0
FORWARD_FULL_S = 10.0
DRAIN_S = 30.0
UPLOAD_SILENCE_S = 10.0
UPLOAD_S = 180.0
SHUTDOWN_S = 10.0


def check_picture(fps_target: int, width: int, height: int) -> None:
    """Refuse a frame rate or a resolution out of bounds. Pixels and frames per second."""
    if not 1 <= fps_target <= MAX_FPS:
        raise errors.LimitFpsExceeded(f"fps_target {fps_target}, allowed are 1 to {MAX_FPS}")
    long_side, short_side = max(width, height), min(width, height)
    if short_side < MIN_SIDE_PX or long_side > MAX_LONG_SIDE_PX or short_side > MAX_SHORT_SIDE_PX:
        raise errors.LimitResolutionExceeded(f"{width}x{height} is not within 64x64 and 640x480")


def check_frame_bytes(size_bytes: int) -> None:
    """Refuse an empty or an oversized frame."""
    if not 1 <= size_bytes <= MAX_FRAME_BYTES:
        raise errors.LimitFrameBytesExceeded(f"a frame of {size_bytes} bytes, allowed are 1 to {MAX_FRAME_BYTES}")


def check_count(frames: int) -> None:
    """Refuse more frames than one capture may have."""
    if frames > MAX_FRAMES:
        raise errors.LimitFrameCountExceeded(f"frame {frames}, allowed are {MAX_FRAMES}")


def check_total_bytes(size_bytes: int) -> None:
    """Refuse more bytes than all frames of one capture may have."""
    if size_bytes > MAX_TOTAL_BYTES:
        raise errors.LimitTotalBytesExceeded(f"{size_bytes} bytes of frames, allowed are {MAX_TOTAL_BYTES}")


def check_elapsed(elapsed: dt.timedelta) -> None:
    """Refuse an event time further from the capture's start than the longest duration."""
    if elapsed > MAX_DURATION:
        raise errors.LimitDurationExceeded(f"{elapsed.total_seconds():.3f} s after timestamp_start, allowed are 120")


def check_duration(duration: dt.timedelta) -> None:
    """Refuse a capture that ends too early or too late."""
    if duration < MIN_DURATION:
        raise errors.LimitDurationTooShort(f"{duration.total_seconds():.3f} s, at least 2 are needed")
    check_elapsed(duration)


def check_rate(frames: int, duration: dt.timedelta) -> None:
    """Refuse more than 15 frames a second of event time: T <= 15.5 * duration_s + 1, in whole microseconds."""
    microseconds = duration // dt.timedelta(microseconds=1)
    if 2 * (frames - 1) * 1_000_000 > 31 * microseconds:
        raise errors.LimitFpsExceeded(f"{frames} frames in {duration.total_seconds():.3f} s are more than 15 a second")
