"""Connections of httpx on which everything a call does has to be done by one time (ADV-69).

httpx bounds each single read, not the whole: a service that drips bytes would hold a call for ever. The network backend
below gives every connect, read and write no more than what is left of the call's own time. A call is a thread's.
"""

import ssl
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from typing import Any

import httpcore
import httpx

_IDLE_S = 4.0  # shorter than uvicorn keeps a connection, so that none is found closed
_MOST_CONNECTIONS, _MOST_IDLE = 64, 16


def begin(seconds: float) -> None:
    """This thread's call begins, and all it does may take so long together."""
    _call.until = time.monotonic() + seconds


def left_s() -> float:
    """Seconds left. Zero would mean for ever to a socket, so a late step gets a hair's breadth."""
    return max(_call.until - time.monotonic(), 0.001)


class TimedTransport(httpx.HTTPTransport):
    """httpx's own, over connections that know the time."""

    def __init__(self) -> None:
        super().__init__(verify=_authorities(), trust_env=False)
        self._pool.close()
        self._pool = httpcore.ConnectionPool(
            ssl_context=_authorities(),
            max_connections=_MOST_CONNECTIONS,
            max_keepalive_connections=_MOST_IDLE,
            keepalive_expiry=_IDLE_S,
            network_backend=_Backend(),
        )


class _Stream(httpcore.NetworkStream):
    """A connection on which nothing takes longer than what is left of the call.

    Head and body of a request, which httpcore writes one by one, leave together: half of one wakes nobody.
    """

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner, self._unsent = inner, b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._unsent:
            leaving, self._unsent = self._unsent, b""
            with suppress(httpcore.WriteError):  # as httpcore does: who closes early may have answered
                self._inner.write(leaving, _left(timeout))
        return self._inner.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._unsent += buffer

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    """Opens such connections."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(host, port, _left(timeout), local_address, socket_options))


def _left(timeout_s: float | None) -> float:
    """Seconds the next step may take."""
    return left_s() if timeout_s is None else min(timeout_s, left_s())


@cache
def _authorities() -> ssl.SSLContext:
    # Reading them takes longer than a whole call.
    return httpx.create_ssl_context(trust_env=False)


class _Call(threading.local):
    until = 0.0  # monotonic; when the call of this thread has to be over


_call = _Call()
