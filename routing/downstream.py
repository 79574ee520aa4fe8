"""JSON over HTTP to a service of ours, within a total time (ADV-68 to ADV-70). The door of golf to other services.

No HTTP leaks out of here: the bytes of a 200, or Failure.
"""

import random
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from routing.golf import timed_transport
from routing.golf.timed_transport import TimedTransport
from sessions_app import jsonwire
from sessions_app.kinds import DomainError

_CONNECT_S = _POOL_S = 0.5  # ADV-69
_CONNECT_WAITS_S = (0.1, 0.3)  # before the second and the third try (ADV-70)
_AGAIN_ONCE = frozenset({502, 503, 504})
_LONGEST_ANSWER_BYTES = 1_048_576  # ADV-68


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to ask, with which key, and how long all tries may take together."""

    url: str
    key: str
    timeout_s: float


@dataclass(slots=True)
class Trace:
    """What one call went through, for the debug bundle."""

    status: int | None = None
    attempts: int = 0
    outcome: str = ""
    breaker: str = "closed"
    seconds: float = 0.0


class Failure(Exception):
    """A call without a usable answer.

    kind: rejected (400, 404), auth_failed (401, 403), bad_response, unavailable, timeout, circuit_open.
    status, code: of the service's own answer, where it gave one.
    """

    def __init__(
        self, kind: str, status: int | None = None, code: str | None = None, *, retry_after_s: int | None = None
    ) -> None:
        super().__init__(kind)
        self.kind, self.status, self.code, self.retry_after_s = kind, status, code, retry_after_s


def post(peer: Peer, body: dict[str, Any], trace: Trace) -> bytes:
    """The bytes of a 200 to `body`, which names its request_id; `trace` tells how it went. Raises Failure.

    Tries again where nothing can have happened (connecting), and once where the service asks for it.
    """
    timed_transport.begin(peer.timeout_s)
    waits_s = list(_CONNECT_WAITS_S)
    is_second_chance = True
    while True:
        trace.attempts += 1
        try:
            return _once(peer, body, trace)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            kind = "timeout" if isinstance(error, httpx.ConnectTimeout) else "unavailable"
            if not waits_s or not _slept(waits_s.pop(0) * random.uniform(0.8, 1.2)):
                raise Failure(kind) from None
        except _Busy as busy:
            if not is_second_chance or not _slept(random.uniform(0, _CONNECT_WAITS_S[0])):
                raise Failure("unavailable", busy.status) from None
            is_second_chance = False
        except httpx.TimeoutException:
            raise Failure("timeout", trace.status) from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise Failure("unavailable", trace.status) from None


def close() -> None:
    """Close every connection; the next call opens its own."""
    with _opening:
        for transport in _transports.values():
            transport.close()
        _transports.clear()


def _once(peer: Peer, body: dict[str, Any], trace: Trace) -> bytes:
    """One try. Raises Failure, an error of httpx, or _Busy for an answer that may be better next time."""
    trace.status = None
    headers = {
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "X-Request-ID": body["request_id"],
        **({"X-API-Key": peer.key} if peer.key else {}),
    }
    timeouts = {"connect": _CONNECT_S, "pool": _POOL_S, "read": peer.timeout_s, "write": peer.timeout_s}
    url = _parsed(peer.url)
    request = httpx.Request(
        "POST", url, headers=headers, content=jsonwire.dumps(body), extensions={"timeout": timeouts}
    )
    if url.userinfo:
        request = next(httpx.BasicAuth(url.username, url.password).auth_flow(request))
    with closing(_transport(peer).handle_request(request)) as response:
        trace.status = status = response.status_code
        data = _read(response)
    if status == 200:
        return data
    if status in _AGAIN_ONCE:
        raise _Busy(status)
    raise Failure(_kind(status), status, _code(data) if 400 <= status < 500 else None)


def _read(response: httpx.Response) -> bytes:
    """The body, unless it is packed or too long. Raises Failure."""
    data = bytearray()
    is_packed = response.headers.get("Content-Encoding", "identity") != "identity"
    for chunk in response.iter_raw():
        data += chunk
        if is_packed or len(data) > _LONGEST_ANSWER_BYTES:
            raise Failure("bad_response", response.status_code)
    return bytes(data)


def _slept(seconds: float) -> bool:
    """Sleep, unless the call's time would be up before."""
    if timed_transport.left_s() <= seconds:
        return False
    time.sleep(seconds)
    return True


def _kind(status: int) -> str:
    if status >= 500:
        return "unavailable"
    return {400: "rejected", 404: "rejected", 401: "auth_failed", 403: "auth_failed"}.get(status, "bad_response")


def _code(data: bytes) -> str | None:
    """The stable code of a problem document, if that is what it is."""
    try:
        code = jsonwire.loads(data)["code"]
    except (DomainError, KeyError, TypeError):
        return None
    has_form = isinstance(code, str) and len(code) <= 64 and code.isascii() and code.replace("_", "").isalnum()
    return code if has_form else None


class _Busy(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@cache
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)


def _transport(peer: Peer) -> TimedTransport:
    """One long-lived client for each peer. httpx.Client on top would cost as much again, for nothing wanted here."""
    with _opening:
        if peer not in _transports:
            _transports[peer] = TimedTransport()
        return _transports[peer]


_transports: dict[Peer, TimedTransport] = {}
_opening = threading.Lock()
