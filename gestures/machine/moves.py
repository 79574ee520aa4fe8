"""The vocabulary of the capture's state machine (GES-18): what can happen to it, and what it asks to be done. Pure."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sessions_app.kinds import DomainError

# What the client says. `repeated` holds the members of the open that a later message may repeat (GES-13).


@dataclass(frozen=True, slots=True)
class Auth:
    """`capture.auth`."""

    token: str


@dataclass(frozen=True, slots=True)
class Open:
    """`capture.open`, or the `meta` of an upload. Times are event time, in UTC; sizes in pixels."""

    record_id: str
    user_id: str
    session_id: str
    performer_id: str
    timestamp_start: dt.datetime
    fps_target: int
    width: int
    height: int
    device_id: str | None = None
    intent: str | None = None
    header: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FrameMeta:
    """`capture.frame_meta`."""

    seq: int
    timestamp_frame: dt.datetime
    byte_length: int
    repeated: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole JPEG."""

    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """`capture.close`."""

    timestamp_end: dt.datetime
    repeated: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cancel:
    """`capture.cancel`."""

    repeated: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Garbled:
    """A message that is none of the above; `close_code` says how a socket without a capture ends."""

    detail: str
    close_code: int = 1008


ClientMessage = Auth | Open | FrameMeta | Frame | Close | Cancel | Garbled

# What happens elsewhere.


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The token is valid."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """User, session, record_id and slot are in order, and a worker is reserved."""


@dataclass(frozen=True, slots=True)
class RowArrived:
    """The extractor answered one frame."""


@dataclass(frozen=True, slots=True)
class RowsDone:
    """The extractor answered the close: no row is outstanding."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Artefact, row and event are durable."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Authentication, admission, extraction or storing came to nothing, or the session is gone."""

    error: DomainError


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The client has left."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Bytes of an upload arrived that are no whole frame yet."""


@dataclass(frozen=True, slots=True)
class Recheck:
    """It is time to ask for the session again."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """This process is stopping (GES-39); `now` is the end of the grace that running captures have."""

    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = (
    ClientMessage
    | Authenticated
    | Admitted
    | RowArrived
    | RowsDone
    | Stored
    | Failed
    | Disconnected
    | Heard
    | Recheck
    | Leaving
    | Tick
)

# What is to be done.


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Verify the token, then report Authenticated or Failed."""

    token: str


@dataclass(frozen=True, slots=True)
class Admit:
    """Check user, session, record_id and slot in this order, reserve a worker, then report Admitted or Failed."""

    opened: Open


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Send `capture.ack` with the counts accepted."""

    ack: str
    frames: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Forward:
    """Hand the frame to the worker."""

    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Finish:
    """Tell the worker that no frame follows."""


@dataclass(frozen=True, slots=True)
class Revalidate:
    """Ask whether the session is still active and note its activity; report Failed if it is not."""


@dataclass(frozen=True, slots=True)
class Store:
    """Write the artefact, its row and its event, then report Stored or Failed."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Drop frames and rows, release worker and slot."""


@dataclass(frozen=True, slots=True)
class Complete:
    """Send `capture.completed`."""


@dataclass(frozen=True, slots=True)
class Abort:
    """Send `capture.abort`."""

    error: DomainError


@dataclass(frozen=True, slots=True)
class Complain:
    """Send `capture.error`: there is no capture to abort."""

    error: DomainError


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection with this code."""

    code: int


Action = (
    Authenticate
    | Admit
    | Acknowledge
    | Forward
    | Finish
    | Revalidate
    | Store
    | Discard
    | Complete
    | Abort
    | Complain
    | HangUp
)
