"""What one socket may send, and how long it may be silent (DEV-6, DEV-24, DEV-28)."""

import time
from collections import deque
from typing import Final

from sessions_app.fanout import frames
from sessions_app.sockets import connection
from sessions_app.sockets.connection import Connection
from sessions_app.sockets.socket_errors import TokenExpiring

MAX_BEFORE_AUTH_BYTES: Final = 8192
MAX_EARLY: Final = 2  # frames other than AUTH and HEARTBEAT before AUTH
MAX_MALFORMED: Final = 10
MAX_DROPS: Final = 100  # frames over the rate within DROPS_WITHIN_S
DROPS_WITHIN_S: Final = 60.0
WARN_S: Final = 60.0  # before the token's end


class Allowance:
    """A token bucket: `burst` frames at once, `rate_per_s` of them in the long run."""

    __slots__ = ("_at", "_drops", "_tokens", "burst", "rate_per_s")

    def __init__(self, now: float, *, rate_per_s: float, burst: int) -> None:
        self.rate_per_s, self.burst = rate_per_s, burst
        self._tokens, self._at = float(burst), now
        self._drops: deque[float] | None = None

    def spend(self, now: float) -> bool:
        """Take one frame; False if none is left."""
        self._tokens = min(float(self.burst), self._tokens + (now - self._at) * self.rate_per_s)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def drop(self, now: float) -> bool:
        """Note a frame that was not allowed; whether there were too many of late."""
        if self._drops is None:
            self._drops = deque(maxlen=MAX_DROPS)
        self._drops.append(now)
        return len(self._drops) == MAX_DROPS and now - self._drops[0] <= DROPS_WITHIN_S


class Deadlines:
    """What the wheel looks at for one connection: AUTH in time, the token's end, silence."""

    __slots__ = ("_auth_by", "_connection", "_silence_s", "_was_warned", "due_at")

    def __init__(self, one: Connection, *, auth_within_s: float, silence_s: float) -> None:
        self._connection, self._silence_s = one, silence_s
        self._auth_by: float | None = one.heard_at + auth_within_s
        self._was_warned = False
        self.due_at = 0

    @property
    def first(self) -> float:
        """When to look first."""
        assert self._auth_by is not None
        return self._auth_by

    def authenticated(self, now: float) -> float:
        """AUTH has succeeded, or has brought a new token; returns when to look next."""
        self._auth_by, self._was_warned = None, False
        return self.check(now) or now

    def check(self, now: float) -> float | None:
        """The wheel's question."""
        one = self._connection
        if one.outbox.is_closing:
            return None
        if self._auth_by is not None:
            return self._check_auth(now, self._auth_by)
        self._check_token(time.time())
        if now - one.heard_at >= self._silence_s:
            one.close(connection.SILENT)
        return self._next(now)

    def _check_auth(self, now: float, by: float) -> float:
        # A client whose AUTH is in hand has been in time; in a rush of them the queue for the database may be longer.
        if now >= by and not self._connection.is_busy:
            self._connection.close(connection.SILENT)
        return max(by, now + 1)

    def _check_token(self, at: float) -> None:
        one = self._connection
        if one.expires_at is None:
            return
        if at >= one.expires_at:
            one.close(connection.EXPIRED, at_once=True)
        elif at >= one.expires_at - WARN_S and not self._was_warned:
            self._was_warned = True
            one.answer(frames.error(TokenExpiring(retry_after=max(1, round(one.expires_at - at)))))

    def _next(self, now: float) -> float:
        one, ahead = self._connection, [self._silence_s]
        ahead.append(one.heard_at + self._silence_s - now)
        if one.expires_at is not None:
            left = one.expires_at - time.time()
            ahead.append(left if self._was_warned else left - WARN_S)
        return now + max(0.0, min(ahead))
