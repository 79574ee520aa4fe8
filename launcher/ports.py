"""Addresses and free ports (OPS-6)."""

import socket
import sys
from types import TracebackType
from typing import Self

from launcher.errors import Refusal

TRIES = 20  # OPS-6: how many further ports stand in for a default one


def parse(address: str, *, name: str) -> tuple[str, int]:
    """Split `host:port`; `:8080` means all interfaces, `[::1]:8080` is IPv6. Raises Refusal naming the variable."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise Refusal(f"{name} must read host:port with a port from 1 to 65535, not {address!r}.")
    return host.strip("[]") or "0.0.0.0", int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server will: TIME_WAIT is no hindrance
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def any_free() -> int:
    """A port on 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Claims:
    """The ports one launcher has chosen, kept from the choice to its end.

    A process listens seconds after its port was chosen, so "nobody listens there" tells two launchers that start
    together the same. A claim is a name in Linux's abstract namespace, which reaches as far as the ports do, leaves
    no file behind and ends with its process. Other systems have none, and there no port is kept.
    """

    def __init__(self) -> None:
        self._names: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in self._names:
            name.close()

    def take(self, host: str, port: int) -> bool:
        """Keep the port, unless somebody listens there or another launcher will."""
        if sys.platform != "linux":
            return is_free(host, port)
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0baton.port.{port}")
        except OSError:
            name.close()
            return False
        if not is_free(host, port):
            name.close()
            return False
        self._names.append(name)
        return True

    def next_free(self, host: str, port: int) -> int:
        """Keep the first free port from `port` on. Raises Refusal after TRIES further ones."""
        for candidate in range(port, min(port + TRIES, 65535) + 1):
            if self.take(host, candidate):
                return candidate
        raise Refusal(f"Ports {port} to {port + TRIES} on {host} are all taken.")
