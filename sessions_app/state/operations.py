"""One wish to write a state, and what came of it: what both doors hand to the committer and get back."""

from typing import NamedTuple

from sessions_app.access.auth import Caller
from sessions_app.state.idempotency import Answer, Repeat
from sessions_app.state.merge import Resolution
from sessions_app.state.preconditions import NONE, Precondition
from sessions_app.state.versions import Snapshot, Version
from sessions_app.state.writes import Write


class Operation(NamedTuple):
    """A write by `by` on a session of `user_id`, or, where that is None, of anyone `by` may act for."""

    session_id: str
    by: Caller
    write: Write
    user_id: str | None = None
    device_id: str | None = None  # attribution (STA-12)
    app_version: str | None = None
    precondition: Precondition = NONE
    repeat: Repeat | None = None  # Idempotency-Key
    op_id: str | None = None  # DEV-44; needs a device_id
    sent_bytes: int = 0  # length of the request, where it may be long
    origin: str | None = None  # the connection whose ack the frame is, for the door to fan-out (DEV-42)

    def may_see(self, owner: str) -> bool:
        """Whether the session of `owner` exists for this write (STA-9)."""
        return self.user_id in (None, owner) and self.by.may_act_for(owner)

    def performer(self, owner: str) -> str:
        """Who acted (STA-53): the caller, `system` for a service, the owner while authentication is off."""
        return self.by.user_id or (owner if self.by.is_anonymous else "system")


class Outcome(NamedTuple):
    """A write that was accepted. `version` is what it made, or, if `duplicate`, what it had made before; None where the
    state did not change (STA-21, STA-47). A repeated request has nothing but its first `answer` (STA-56)."""

    operation: Operation
    snapshot: Snapshot | None = None
    version: Version | None = None
    duplicate: bool = False
    resolution: Resolution | None = None
    base_known: bool = False
    answer: Answer | None = None
