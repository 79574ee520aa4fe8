"""Why a capture is refused or ends early (GES-26): leaves of the kinds; `error_code` is the code in lower case."""

from sessions_app.errors import RecordIdUsed, UserNotAllowed
from sessions_app.kinds import (
    Conflict,
    DomainError,
    Gone,
    Invalid,
    NotFound,
    TooLarge,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
)

__all__ = ["RecordIdUsed", "UserNotAllowed", "error_code", "worth_retrying"]


class ProtocolViolation(Invalid):
    """Order, sequence, timestamps, length or an unknown member break the capture's protocol, or a timer ran out."""

    code, remedy = "PROTOCOL_VIOLATION", "Correct the client; the detail names the rule."


class LimitDurationTooShort(Invalid):
    """A capture lasts at least 2 s."""

    code, remedy = "LIMIT_DURATION_TOO_SHORT", "Record at least 2 s."


class LimitDurationExceeded(Invalid):
    """A capture lasts at most 120 s."""

    code, remedy = "LIMIT_DURATION_EXCEEDED", "Record at most 120 s."


class LimitFpsExceeded(Invalid):
    """A capture has 1 to 15 frames a second."""

    code, remedy = "LIMIT_FPS_EXCEEDED", "Send at most 15 frames a second."


class LimitResolutionExceeded(Invalid):
    """The long side has 64 to 640 pixels, the short side 64 to 480."""

    code, remedy = "LIMIT_RESOLUTION_EXCEEDED", "Scale the frames to 640x480 or less."


class LimitFrameCountExceeded(TooLarge):
    """A capture has at most 1,800 frames."""

    code, remedy = "LIMIT_FRAME_COUNT_EXCEEDED", "Send at most 1,800 frames."


class LimitFrameBytesExceeded(TooLarge):
    """A frame has 1 to 300,000 bytes."""

    code, remedy = "LIMIT_FRAME_BYTES_EXCEEDED", "Compress the frames further."


class LimitTotalBytesExceeded(TooLarge):
    """All frames together have at most 120,000,000 bytes."""

    code, remedy = "LIMIT_TOTAL_BYTES_EXCEEDED", "Compress the frames further, or record less."


class CaptureEmpty(Invalid):
    """The capture was closed without a frame."""

    code, remedy = "CAPTURE_EMPTY", "Send at least one frame."


class FrameDecodeFailed(Invalid):
    """A frame is not a whole JPEG picture."""

    code, remedy = "FRAME_DECODE_FAILED", "Send each frame as one complete JPEG."


class FrameSizeMismatch(Invalid):
    """A frame has another width or height than the open announced."""

    code, remedy = "FRAME_SIZE_MISMATCH", "Announce the size the frames have."


class SessionInvalid(NotFound):
    """There is no such session, or it is of another user."""

    code, remedy = "SESSION_INVALID", "Start a session and send its id."


class SessionClosed(Conflict):
    """The session ended before the capture was complete."""

    code, remedy = "SESSION_CLOSED", "Start a new session."


class CaptureInProgress(Conflict):
    """The session already has an open capture."""

    code, remedy = "CAPTURE_IN_PROGRESS", "Wait until the other capture has ended."


class Cancelled(Conflict):
    """The client cancelled the capture."""

    code, remedy = "CANCELLED", "Start a new capture when you want one."


class LimitForwardBufferExceeded(Unavailable):
    """The extractor took no frame for 10 s."""

    code, remedy, retry_after_s = "LIMIT_FORWARD_BUFFER_EXCEEDED", "Repeat the capture later.", 2


class ExtractorBusy(Unavailable):
    """Every extractor worker is taken."""

    code, remedy, retry_after_s = "EXTRACTOR_BUSY", "Repeat the capture in a moment.", 2


class ExtractorUnavailable(Unavailable):
    """The extractor cannot be started or reached."""

    code, remedy, retry_after_s = "EXTRACTOR_UNAVAILABLE", "Tell the operator; /readyz says more.", 2


class ExtractorFailed(UpstreamFailed):
    """The extractor worker died or gave an unusable row."""

    code, remedy = "EXTRACTOR_FAILED", "Repeat the capture."


class DrainTimeout(UpstreamTimeout):
    """The extractor did not finish in time."""

    code, remedy = "DRAIN_TIMEOUT", "Repeat the capture later."


class StoreFailed(Unavailable):
    """The artefact, its row or its event could not be written; nothing of the capture remains."""

    code, remedy, retry_after_s = "STORE_FAILED", "Repeat the capture later.", 2


class ServerShutdown(Unavailable):
    """This process is stopping."""

    code, remedy, retry_after_s = "SERVER_SHUTDOWN", "Connect again.", 2


class InternalError(DomainError):
    """A defect of the server ended the capture."""

    status, title, code = 500, "Internal error", "INTERNAL_ERROR"
    remedy = "Report the request_id to the operator."


class CaptureNotFound(NotFound):
    """There is no such completed capture, or it is not yours."""

    code, remedy = "CAPTURE_NOT_FOUND", "Check the record_id; an aborted capture leaves nothing."


class ArtifactMissing(Gone):
    """The capture's file has vanished, or something that is no plain file stands in its place."""

    code, remedy = "ARTIFACT_MISSING", "Tell the operator: DATA_ROOT lost a file."


class ArtifactCorrupt(Conflict):
    """The capture's file is no longer what was recorded."""

    code, remedy = "ARTIFACT_CORRUPT", "Tell the operator to restore the file; it is not served like this."


def error_code(error: DomainError) -> str:
    """The code as capture messages spell it."""
    return error.code.lower()


def worth_retrying(error: DomainError) -> bool:
    """Whether the same frames may be sent again (GES-26)."""
    return isinstance(error, (Unavailable, UpstreamFailed, UpstreamTimeout, CaptureInProgress))
