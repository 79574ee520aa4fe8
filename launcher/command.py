"""What can be started: one command, the user it runs as, and how it ends."""

import ctypes
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from launcher.errors import Refusal

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Command:
    """What to start and how it ends. Commands of equal `rank` stop together, lower ranks first."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    rank: int = 0
    stop_signal: signal.Signals = signal.SIGTERM
    user: int | None = None  # uid and gid it runs as; None is the launcher's own
    echo: bool = True  # its output is shown as it comes, not only when it keeps dying

    def spawn(self, **how: Any) -> "subprocess.Popen[bytes]":
        """Start it; `how` goes to Popen. Raises Refusal if it cannot be started.

        The kernel sends it `stop_signal` when the launcher is killed outright. The launcher has one thread, so
        preexec_fn is safe.
        """
        end_too = partial(_libc.prctl, PR_SET_PDEATHSIG, int(self.stop_signal)) if _libc else None
        try:
            return subprocess.Popen(
                self.argv, env=self.env, cwd=self.cwd, preexec_fn=end_too, **become(self.user), **how
            )
        except OSError as error:
            raise Refusal(f"{self.name} could not be started: {error}") from error


def become(user: int | None) -> dict[str, Any]:
    """The arguments of Popen and subprocess.run that make a process that user's; none for our own."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}
