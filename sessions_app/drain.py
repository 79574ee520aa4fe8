"""Whether this process is on its way out (OPS-71): `/readyz` says so, and who opens something long asks here first."""

from collections.abc import Callable

_draining = False
_busy: list[Callable[[], bool]] = []


def begin() -> None:
    """From now on this process takes no long work; there is no way back."""
    global _draining
    _draining = True


def is_draining() -> bool:
    """Whether `begin` was called."""
    return _draining


def wait_for(is_busy: Callable[[], bool]) -> None:
    """Let the process stay until `is_busy` says no; whoever asks for it ends its work within a time of its own."""
    _busy.append(is_busy)


def is_busy() -> bool:
    """Whether something still runs that the process waits for."""
    return any(busy() for busy in _busy)
