"""Whether this process is on its way out (OPS-71): `/readyz` says so, and who opens something long asks here first."""

_draining = False


def begin() -> None:
    """From now on this process takes no long work; there is no way back."""
    global _draining
    _draining = True


def is_draining() -> bool:
    """Whether `begin` was called."""
    return _draining
