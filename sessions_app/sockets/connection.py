"""One socket of `/ws`: who it is, where it stands in its session's state, and how frames reach it (DEV-8 to DEV-51)."""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

import structlog

from sessions_app import snapshots
from sessions_app.access.auth import Caller
from sessions_app.fanout import frames
from sessions_app.kinds import DomainError
from sessions_app.protocol import Frame, MessageType
from sessions_app.sockets.outbox import MAX_FRAMES, Outbox, Send
from sessions_app.sockets.threads import cross

# Close codes (DEV-67).
UNSUPPORTED, TOO_BIG, INTERNAL, RESTART, TRY_LATER = 1003, 1009, 1011, 1012, 1013
MALFORMED, UNAUTHENTICATED, FORBIDDEN, NO_SESSION, SILENT = 4400, 4401, 4403, 4404, 4408
REPLACED, DISCONNECTED, EXPIRED, REVOKED, TOO_MANY, TOO_SLOW = 4409, 4410, 4411, 4412, 4429, 4430

SESSION: Final = "session"
ADMIN: Final = "admin"

log = structlog.get_logger(__name__)


class Connection:
    """What the server knows of one socket. `caller` is None until AUTH; frames leave by `answer` and `deliver`."""

    __slots__ = (
        "_ack", "_ack_id", "_held", "_holds", "_identity", "caller", "channel", "close_code", "codec", "connection_id",
        "device_id", "epoch", "expires_at", "heard", "heard_at", "info", "ip", "is_busy", "outbox", "seq", "session_id",
        "unsent", "user_id", "was_heard",
    )  # fmt: skip

    def __init__(self, send: Send, codec: Any, *, ip: str, unsent: Callable[[], int] = lambda: 0) -> None:
        """An open socket of nobody yet; `unsent` tells how many bytes the server still holds for it."""
        self.connection_id = secrets.token_hex(8)
        self.codec, self.ip, self.unsent = codec, ip, unsent
        self.outbox = Outbox(send, self)
        self.close_code = 0  # the server's, once it has decided to close
        self.heard_at = asyncio.get_running_loop().time()
        self.was_heard = False  # since the lease was last renewed
        self.heard = 0  # frames
        self.is_busy = False  # with a frame of the client's
        self.caller: Caller | None = None
        self.channel: str | None = None
        self.session_id = ""  # empty on the admin channel, too
        self.user_id = ""
        self.device_id = ""
        self.info: dict[str, Any] = {}  # what others are told of the device while it is present
        self.expires_at: int | None = None  # of the token, Unix seconds
        self._identity = codec.identity(None, None, None)
        self.epoch: str | None = None
        self.seq = 0
        self._held: list[Frame] = []
        self._holds = 0
        self._ack: asyncio.Future[None] | None = None
        self._ack_id: str | None = None

    def become(self, session_id: str, user_id: str, device_id: str) -> None:
        """Who this will be if all goes well."""
        self.session_id, self.user_id, self.device_id = session_id, user_id, device_id

    def authenticate(self, caller: Caller) -> None:
        """AUTH has succeeded: from now on each envelope of a session names the connection (DEV-8)."""
        self.caller, self.expires_at = caller, caller.claims.expires_at if caller.claims else None
        self.channel = SESSION if self.session_id else ADMIN
        if self.channel == SESSION:
            self._identity = self.codec.identity(self.session_id, self.user_id, self.device_id)

    @property
    def is_admin(self) -> bool:
        """Whether this is on the admin channel."""
        return self.channel == ADMIN

    def answer(self, frame: Frame, correlation_id: str | None = None) -> None:
        """Send a frame to this connection alone."""
        self._write(frame, correlation_id, is_state=False)

    def deliver(self, frame: Frame) -> None:
        """Send a frame that goes to many; a state frame only if it is new here."""
        if self._holds:
            self._hold(frame)
        elif frame.is_state:
            self._deliver_state(frame)
        elif self._is_for_me(frame):
            self._write(frame, self._acknowledged(frame), is_state=False)

    def hold(self) -> None:
        """Keep what is delivered until the matching `release`: the state is being read meanwhile."""
        self._holds += 1

    def release(self, epoch: str | None, seq: int) -> None:
        """The client has the state at `seq`: go on after it, unless somebody else still holds."""
        self._holds -= 1
        self.epoch, self.seq = epoch, seq
        if self._holds:
            return
        held, self._held = self._held, []
        for frame in held:
            self.deliver(frame)
        self.drained()

    def resync(self) -> None:
        """State frames are missing: bring the client up to date with a snapshot (DEV-51)."""
        if not self._holds and not self.outbox.is_closing:
            self.hold()
            asyncio.get_running_loop().create_task(self._resync())

    async def send_snapshot(self, reason: str, correlation_id: str | None = None) -> None:
        """Send the current state and go on after it (DEV-38). Raises DatabaseUnavailable."""
        self.hold()
        await self._send_snapshot(reason, correlation_id)

    def expect_ack(self, correlation_id: str | None) -> asyncio.Future[None]:
        """The next frame that originates here answers `correlation_id`; the future is done once it was handed on."""
        self._ack, self._ack_id = asyncio.get_running_loop().create_future(), correlation_id
        return self._ack

    def forget_ack(self) -> None:
        """The request was refused: no frame will answer it."""
        self._ack = self._ack_id = None

    def close(self, code: int, *, at_once: bool = False) -> None:
        """Close after what waits to be sent, or, `at_once`, instead of it."""
        if self.close_code and not at_once:
            return
        self.close_code = self.close_code or code
        if at_once:
            self.outbox.give_up(code)
        else:
            self.outbox.close(code)

    def drained(self) -> None:
        """The outbox is empty: what it dropped is made good now."""
        if self.outbox.is_behind and self.outbox.is_idle and not self._holds:
            self.outbox.is_behind = False
            self.resync()

    def stalled(self) -> None:
        """The client takes nothing any more."""
        self.close(TOO_SLOW, at_once=True)

    def _deliver_state(self, frame: Frame) -> None:
        correlation_id = self._acknowledged(frame)
        follows = self.seq + 1 if frame.epoch == self.epoch else 1
        if frame.seq == follows:
            self.epoch, self.seq = frame.epoch, frame.seq
            self._write(frame, correlation_id, is_state=True)
        elif frame.seq > follows:
            self.resync()  # no client is ever shown a gap (L4)

    def _is_for_me(self, frame: Frame) -> bool:
        """A joining device is not told of itself (DEV-29); some frames are for one device alone."""
        if frame.type is MessageType.DEVICE_JOINED:
            return bool(frame.payload["device"]["device_id"] != self.device_id)
        return frame.recipient in (None, self.device_id)

    def _acknowledged(self, frame: Frame) -> str | None:
        """The correlation_id this copy of the frame carries, because it answers the request (DEV-14, DEV-42)."""
        if frame.origin != self.connection_id or self._ack is None:
            return None
        if not self._ack.done():
            self._ack.set_result(None)
        correlation_id = self._ack_id
        self.forget_ack()
        return correlation_id

    def _hold(self, frame: Frame) -> None:
        self._held.append(frame)
        if len(self._held) > MAX_FRAMES:
            # Whatever is read next covers the state frames, and their acks are lost like those of a full outbox.
            for frame in self._held:
                if frame.is_state:
                    self._acknowledged(frame)
            self._held = [frame for frame in self._held if not frame.is_state]
            self.outbox.is_behind = True

    def _write(self, frame: Frame, correlation_id: str | None, *, is_state: bool) -> None:
        data = self.codec.write(frame, self._identity, correlation_id, int(time.time()))
        if not self.outbox.put(self.codec.event_key, data, is_state=is_state):
            self.close(TOO_SLOW, at_once=True)

    async def _resync(self) -> None:
        try:
            await self._send_snapshot("resync", None)
        except DomainError as error:
            log.warning("connection.resync_failed", connection_id=self.connection_id, code=error.code)
            self.close(TRY_LATER)

    async def _send_snapshot(self, reason: str, correlation_id: str | None) -> None:
        try:
            snapshot = await cross(snapshots.held, self.session_id)
        except BaseException:
            self.release(self.epoch, self.seq)
            raise
        self.answer(frames.snapshot_response(snapshot, session_id=self.session_id, reason=reason), correlation_id)
        self.release(*((snapshot.epoch, snapshot.version) if snapshot else (None, 0)))
