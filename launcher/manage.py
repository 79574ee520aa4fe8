"""`./run manage <command>`: manage.py with the servers and settings of the running Baton, or of its own (OPS-10)."""

import os
import time

from launcher import baton, processes, runfile
from launcher.errors import Refusal
from launcher.options import Options
from launcher.paths import VAR

STARTING_S = 90.0


def main(given: Options) -> int:
    """Run the command and return its exit code; joins a running ./run by becoming the command."""
    if env := running_env():
        command = processes.manage(env, *given.command)
        os.execve(command.argv[0], command.argv, env)
    with baton.started(added={}, serving=False, echo=False) as own:
        return own.supervisor.foreground(processes.manage(own.env, *given.command))


def running_env() -> dict[str, str]:
    """The environment of a running Baton, waiting while it starts; empty when none runs. Raises Refusal."""
    deadline = time.monotonic() + STARTING_S
    while runfile.is_held(VAR):
        if shared := runfile.shared_env(VAR):
            return {**os.environ, **shared}
        if time.monotonic() > deadline:
            raise Refusal("Another start of this checkout is in the way and does not get ready.")
        time.sleep(0.2)
    return {}
