"""Addresses and free ports (OPS-6)."""

import socket

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


def next_free(host: str, port: int) -> int:
    """The first free port from `port` on. Raises Refusal after TRIES further ones."""
    for candidate in range(port, min(port + TRIES, 65535) + 1):
        if is_free(host, candidate):
            return candidate
    raise Refusal(f"Ports {port} to {port + TRIES} on {host} are all taken.")


def any_free() -> int:
    """A port on 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
