"""The state machine of one capture (GES-18): (state, event, now) gives (state, actions). Pure.

`now` is monotonic seconds. The socket and the upload are two shells around it; the table at the end is GES-18's.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

from gestures import errors, limits
from gestures.machine import moves, rules
from gestures.machine.progress import Capture, Phase, timers
from sessions_app.kinds import DomainError, RateLimited

ACK_EVERY = 15  # GES-14
NORMAL, GOING_AWAY, POLICY, DEFECT, UNAUTHENTICATED, TOO_MANY = 1000, 1001, 1008, 1011, 4401, 4429

Step = tuple[Capture, tuple[moves.Action, ...]]
Handler = Callable[[Capture, Any, float], Step]


def connected(now: float, *, authenticated: bool, token_welcome: bool = False) -> Capture:
    """A socket that has just been accepted."""
    return Capture(Phase.IDLE if authenticated else Phase.AUTH, since=now, token_welcome=token_welcome)


def uploading(opened: moves.Open, now: float) -> Step:
    """An upload whose `meta` was found in order; `now` is when the request began."""
    capture = Capture(Phase.OPENING, since=now, upload=True, opened=opened, opened_at=now, heard_at=now)
    return capture, (moves.Admit(opened),)


def step(capture: Capture, event: moves.Event, now: float) -> Step:
    """Let one thing happen. A refusal of a rule becomes the abort or the error message of GES-18."""
    if isinstance(event, moves.Tick):
        return _tick(capture, now)
    if isinstance(event, _MESSAGES):
        capture = replace(capture, heard_at=now)
    return _handle(capture, event, now)


def deadline(capture: Capture) -> float | None:
    """When the next Tick is due, or None if nothing is timed."""
    return min((at for at, _ in timers(capture)), default=None)


def _tick(capture: Capture, now: float) -> Step:
    due = sorted((timer for timer in timers(capture) if timer[0] <= now), key=lambda timer: timer[0])
    return _handle(capture, due[0][1], now) if due else (capture, ())


def _handle(capture: Capture, event: moves.Event, now: float) -> Step:
    otherwise = _out_of_order if isinstance(event, _MESSAGES) else _nothing
    handler = _TABLE[capture.phase].get(type(event), otherwise)
    try:
        return handler(capture, event, now)
    except DomainError as refusal:
        return _aborted(capture, refusal)


# Before a capture is open.


def _authenticate(capture: Capture, event: moves.Auth, now: float) -> Step:
    if capture.phase is Phase.IDLE and not capture.token_welcome:
        return _out_of_order(capture, event, now)
    return capture, (moves.Authenticate(event.token),)


def _authenticated(capture: Capture, event: moves.Authenticated, now: float) -> Step:
    return replace(capture, phase=Phase.IDLE, since=now, token_welcome=False), ()


def _unauthenticated(capture: Capture, event: moves.Event, now: float) -> Step:
    return _ended(capture, moves.HangUp(UNAUTHENTICATED))


def _turned_away(capture: Capture, event: moves.Failed, now: float) -> Step:
    code = {RateLimited: TOO_MANY, errors.InternalError: DEFECT}.get(type(event.error), UNAUTHENTICATED)
    return _ended(capture, moves.HangUp(code))


def _open(capture: Capture, event: moves.Open, now: float) -> Step:
    capture = replace(capture, phase=Phase.OPENING, opened=event)
    try:
        limits.check_picture(event.fps_target, event.width, event.height)
    except DomainError as refusal:  # here, because only now there is a capture to abort
        return _aborted(capture, refusal)
    return capture, (moves.Admit(event),)


def _unopened(capture: Capture, event: moves.Garbled, now: float) -> Step:
    return _ended(capture, moves.Complain(errors.ProtocolViolation(event.detail)), moves.HangUp(event.close_code))


def _away(capture: Capture, event: moves.Leaving, now: float) -> Step:
    return _ended(capture, moves.HangUp(GOING_AWAY))


def _admitted(capture: Capture, event: moves.Admitted, now: float) -> Step:
    opened_at = capture.opened_at if capture.upload else now
    capture = replace(capture, phase=Phase.ACTIVE, opened_at=opened_at, heard_at=now, checked_at=now)
    return capture, (moves.Acknowledge("capture.open", 0, 0),)


# While it runs.


def _meta(capture: Capture, event: moves.FrameMeta, now: float) -> Step:
    rules.check_repeated(capture, event)
    rules.check_meta(capture, event)
    return replace(capture, phase=Phase.PENDING, meta=event), ()


def _frame(capture: Capture, event: moves.Frame, now: float) -> Step:
    meta, size_bytes = capture.meta, len(event.jpeg)
    limits.check_frame_bytes(size_bytes)
    if meta is None:
        return _out_of_order(capture, event, now)
    if size_bytes != meta.byte_length:
        raise errors.ProtocolViolation(f"a frame of {size_bytes} bytes, declared were {meta.byte_length}")
    capture = replace(rules.counted(capture, meta), phase=Phase.ACTIVE, meta=None)
    if capture.frames - capture.rows >= limits.MAX_FORWARDED_FRAMES:
        capture = replace(capture, paused_at=now)
    actions: tuple[moves.Action, ...] = (moves.Forward(event.jpeg),)
    if capture.frames % ACK_EVERY == 0:
        actions += (moves.Acknowledge("capture.frame", capture.frames, capture.size_bytes),)
    return capture, actions


def _row(capture: Capture, event: moves.RowArrived, now: float) -> Step:
    if capture.rows == capture.frames:
        raise errors.ExtractorFailed("more rows than frames")
    capture = replace(capture, rows=capture.rows + 1)
    if capture.paused_at is not None:
        capture = replace(capture, paused_at=None, heard_at=capture.heard_at + now - capture.paused_at)
    return capture, ()


def _close(capture: Capture, event: moves.Close, now: float) -> Step:
    rules.check_repeated(capture, event)
    rules.check_close(capture, event)
    capture = replace(capture, phase=Phase.DRAINING, since=now, timestamp_end=event.timestamp_end)
    return capture, (moves.Acknowledge("capture.close", capture.frames, capture.size_bytes), moves.Finish())


def _rows_done(capture: Capture, event: moves.RowsDone, now: float) -> Step:
    if capture.phase is not Phase.DRAINING or capture.rows != capture.frames:
        raise errors.ExtractorFailed(f"{capture.rows} rows for {capture.frames} frames")
    return replace(capture, phase=Phase.STORING), (moves.Store(),)


def _cancel(capture: Capture, event: moves.Cancel, now: float) -> Step:
    rules.check_repeated(capture, event)
    raise errors.Cancelled()


def _recheck(capture: Capture, event: moves.Recheck, now: float) -> Step:
    return replace(capture, checked_at=now), (moves.Revalidate(),)


def _heard(capture: Capture, event: moves.Heard, now: float) -> Step:
    return replace(capture, heard_at=now), ()


# How it ends.


def _stored(capture: Capture, event: moves.Stored, now: float) -> Step:
    return _ended(capture, moves.Complete(), moves.HangUp(NORMAL))


def _failed(capture: Capture, event: moves.Failed, now: float) -> Step:
    if isinstance(event.error, RateLimited) and not capture.upload:
        return _ended(capture, moves.Discard(), moves.HangUp(TOO_MANY))
    raise event.error


def _leaving(capture: Capture, event: moves.Leaving, now: float) -> Step:
    if event.at_once:
        raise errors.ServerShutdown()
    return capture, ()


def _dropped(capture: Capture, event: moves.Disconnected, now: float) -> Step:
    return _ended(replace(capture, connected=False), moves.Discard())


def _alone(capture: Capture, event: moves.Disconnected, now: float) -> Step:
    return replace(capture, connected=False), ()


def _out_of_order(capture: Capture, event: moves.ClientMessage, now: float) -> Step:
    if isinstance(event, moves.Garbled):
        raise errors.ProtocolViolation(event.detail)
    raise errors.ProtocolViolation(f"{type(event).__name__} does not belong here: the capture is {capture.phase}")


def _nothing(capture: Capture, event: moves.Event, now: float) -> Step:
    return capture, ()


def _aborted(capture: Capture, error: DomainError) -> Step:
    code = DEFECT if isinstance(error, errors.InternalError) else NORMAL
    if capture.opened is not None:
        return _ended(capture, moves.Discard(), moves.Abort(error), moves.HangUp(code))
    return _ended(capture, moves.Complain(error), moves.HangUp(POLICY))


def _ended(capture: Capture, *actions: moves.Action) -> Step:
    return replace(capture, phase=Phase.CLOSED, paused_at=None), actions


_MESSAGES = get_args(moves.ClientMessage)
_NOT_AUTH: dict[type, Handler] = {kind: _unauthenticated for kind in _MESSAGES if kind is not moves.Auth}
_IGNORED: dict[type, Handler] = dict.fromkeys(_MESSAGES, _nothing)
_RUNNING: dict[type, Handler] = {
    moves.Cancel: _cancel,
    moves.RowArrived: _row,
    moves.RowsDone: _rows_done,
    moves.Failed: _failed,
    moves.Leaving: _leaving,
    moves.Recheck: _recheck,
    moves.Heard: _heard,
    moves.Disconnected: _dropped,
}
_TABLE: dict[Phase, dict[type, Handler]] = {
    Phase.AUTH: _NOT_AUTH
    | {
        moves.Auth: _authenticate,
        moves.Authenticated: _authenticated,
        moves.Failed: _turned_away,
        moves.Leaving: _away,
        moves.Disconnected: _dropped,
    },
    Phase.IDLE: {
        moves.Auth: _authenticate,
        moves.Authenticated: _authenticated,
        moves.Failed: _turned_away,
        moves.Open: _open,
        moves.Garbled: _unopened,
        moves.Leaving: _away,
        moves.Disconnected: _dropped,
    },
    Phase.OPENING: {
        moves.Admitted: _admitted,
        moves.Failed: _failed,
        moves.Leaving: _leaving,
        moves.Disconnected: _dropped,
    },
    Phase.ACTIVE: _RUNNING | {moves.FrameMeta: _meta, moves.Frame: _frame, moves.Close: _close},
    Phase.PENDING: _RUNNING | {moves.Frame: _frame},
    Phase.DRAINING: _RUNNING | {moves.Disconnected: _alone},
    Phase.STORING: _IGNORED | {moves.Stored: _stored, moves.Failed: _failed, moves.Disconnected: _alone},
    Phase.CLOSED: _IGNORED,
}
