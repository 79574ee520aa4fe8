"""What one message may say, given how far its capture is (GES-11 to GES-13, GES-22). Pure.

Each check raises the leaf that ends the capture; limits come before other rules on the same value (GES-3).
"""

from collections.abc import Iterable
from dataclasses import replace

from gestures import errors, limits
from gestures.machine import moves
from gestures.machine.progress import Capture, Phase


def foresee(opened: moves.Open, metas: Iterable[moves.FrameMeta], close: moves.Close) -> None:
    """Check everything an upload declares before its first frame is read (GES-22). Raises the first refusal."""
    limits.check_picture(opened.fps_target, opened.width, opened.height)
    capture = Capture(Phase.ACTIVE, since=0.0, upload=True, opened=opened)
    for meta in metas:
        check_meta(capture, meta)
        capture = counted(capture, meta)
    check_close(capture, close)


def check_repeated(capture: Capture, message: moves.FrameMeta | moves.Close | moves.Cancel) -> None:
    """What a later message repeats of the open must equal it (GES-13)."""
    for name, value in message.repeated.items():
        if name != "timestamp" and capture.open.header.get(name) != value:
            raise errors.ProtocolViolation(f"{name} is not the open's")


def check_meta(capture: Capture, meta: moves.FrameMeta) -> None:
    """A frame may follow under this meta: the limits first, then order and time (GES-11)."""
    limits.check_frame_bytes(meta.byte_length)
    limits.check_count(capture.frames + 1)
    limits.check_total_bytes(capture.size_bytes + meta.byte_length)
    limits.check_elapsed(meta.timestamp_frame - capture.open.timestamp_start)
    if meta.seq != capture.frames + 1:
        raise errors.ProtocolViolation(f"seq {meta.seq}, expected {capture.frames + 1}")
    if meta.timestamp_frame < (capture.last_frame or capture.open.timestamp_start):
        raise errors.ProtocolViolation(f"timestamp_frame of seq {meta.seq} goes back in time")


def counted(capture: Capture, meta: moves.FrameMeta) -> Capture:
    """The capture with one more frame accepted."""
    size_bytes = capture.size_bytes + meta.byte_length
    return replace(capture, frames=capture.frames + 1, size_bytes=size_bytes, last_frame=meta.timestamp_frame)


def check_close(capture: Capture, close: moves.Close) -> None:
    """The capture may end like this: the limits first (GES-3, GES-12)."""
    duration = close.timestamp_end - capture.open.timestamp_start
    limits.check_duration(duration)
    limits.check_rate(capture.frames, duration)
    if capture.last_frame is None:
        raise errors.CaptureEmpty()
    if close.timestamp_end < capture.last_frame:
        raise errors.ProtocolViolation("timestamp_end is before the last frame")
