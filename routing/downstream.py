"""JSON over HTTP to a service of ours, within a total time (ADV-68 to ADV-70). The door of golf to other services.

One loop in a thread of its own carries all calls, so that the deadline holds over connecting, waiting and reading
alike, however slowly bytes drip; the sync caller waits for it. No HTTP leaks out: the bytes of a 200, or Failure.
"""

import asyncio
import random
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from sessions_app import jsonwire
from sessions_app.errors import DomainError

T = TypeVar("T")

_CONNECT_S = _POOL_S = 0.5  # ADV-69
_CONNECT_WAITS_S = (0.1, 0.3)  # before the second and the third try (ADV-70)
_AGAIN_ONCE = frozenset({502, 503, 504})
_LONGEST_ANSWER_BYTES = 1_048_576  # ADV-68
_IDLE_S = 4.0  # shorter than uvicorn keeps a connection, so that none is found closed


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
    """The bytes of a 200 to `body`, which names its request_id; `trace` tells how it went. Raises Failure."""
    return _running().run(_within_time(peer, body, trace))


def close() -> None:
    """End the thread and its connections; the next call begins anew."""
    global _thread
    with _starting:
        if _thread is not None:
            _thread.close()
        _thread = None


async def _within_time(peer: Peer, body: dict[str, Any], trace: Trace) -> bytes:
    try:
        async with asyncio.timeout(peer.timeout_s):
            return await _tried(peer, body, trace)
    except TimeoutError:
        raise Failure("timeout", trace.status) from None


async def _tried(peer: Peer, body: dict[str, Any], trace: Trace) -> bytes:
    """Try, and try again where nothing can have happened (connecting), or where the service asks for it."""
    waits_s = list(_CONNECT_WAITS_S)
    is_second_chance = True
    while True:
        trace.attempts += 1
        try:
            return await _once(peer, body, trace)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            if not waits_s:
                raise Failure("timeout" if isinstance(error, httpx.ConnectTimeout) else "unavailable") from None
            await asyncio.sleep(waits_s.pop(0) * random.uniform(0.8, 1.2))
        except _Busy as busy:
            if not is_second_chance:
                raise Failure("unavailable", busy.status) from None
            is_second_chance = False
            await asyncio.sleep(random.uniform(0, _CONNECT_WAITS_S[0]))
        except httpx.TimeoutException:
            raise Failure("timeout") from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise Failure("unavailable") from None


async def _once(peer: Peer, body: dict[str, Any], trace: Trace) -> bytes:
    """One try. Raises Failure, an error of httpx, or _Busy for an answer that may be better next time."""
    headers = {
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "X-Request-ID": body["request_id"],
        **({"X-API-Key": peer.key} if peer.key else {}),
    }
    client = _running().client(peer)
    async with client.stream("POST", peer.url, content=jsonwire.dumps(body), headers=headers) as response:
        trace.status = status = response.status_code
        data = await _read(response)
    if status == 200:
        return data
    if status in _AGAIN_ONCE:
        raise _Busy(status)
    raise Failure(_kind(status), status, _code(data) if 400 <= status < 500 else None)


async def _read(response: httpx.Response) -> bytes:
    """The body, unless it is packed or too long. Raises Failure."""
    data = bytearray()
    is_packed = response.headers.get("Content-Encoding", "identity") != "identity"
    async for chunk in response.aiter_raw():
        data += chunk
        if is_packed or len(data) > _LONGEST_ANSWER_BYTES:
            raise Failure("bad_response", response.status_code)
    return bytes(data)


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


class _Thread:
    """An event loop in a thread of its own, with one long-lived client for each peer."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._clients: dict[Peer, httpx.AsyncClient] = {}
        self._thread = threading.Thread(target=self._loop.run_forever, name="downstream", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work there and wait for it here."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def client(self, peer: Peer) -> httpx.AsyncClient:
        """Called on the loop alone. Neither proxies of the environment nor redirects are followed."""
        if peer not in self._clients:
            self._clients[peer] = httpx.AsyncClient(
                trust_env=False,
                follow_redirects=False,
                timeout=httpx.Timeout(peer.timeout_s, connect=_CONNECT_S, pool=_POOL_S),
                limits=httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=_IDLE_S),
            )
        return self._clients[peer]

    def close(self) -> None:
        """Close the clients, then end the thread."""
        for client in self._clients.values():
            self.run(client.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _running() -> _Thread:
    global _thread
    with _starting:
        if _thread is None:
            _thread = _Thread()
        return _thread


_thread: _Thread | None = None
_starting = threading.Lock()
