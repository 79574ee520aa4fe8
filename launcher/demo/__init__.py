"""`./run demo`: the whole story against the real processes, those running or its own (OPS-11)."""

import os

from launcher import baton, runfile
from launcher.command import Command
from launcher.manage import running_env
from launcher.options import Options
from launcher.paths import ROOT, VAR
from launcher.processes import PYTHON
from launcher.supervisor import StopRequested

QUIET = {"LOG_LEVEL": "ERROR"}  # the story and its commands say what happens in their own words


def main(given: Options) -> int:
    """Play the story and return 0, or 1 at its first failure."""
    words = ("--json",) if given.json else ()
    if env := running_env():
        os.execve(PYTHON, _story(str(runfile.facts(VAR)["web"]), words), env | QUIET)
    try:
        with baton.started(added={}, serving=True, echo=False) as own:
            baton.migrate(own)
            baton.launch(own)
            baton.wait_until_ready(own)
            return own.supervisor.foreground(Command("demo", _story(own.web, words), own.env | QUIET, ROOT))
    except StopRequested:
        return 130


def _story(web: str, words: tuple[str, ...]) -> tuple[str, ...]:
    return (PYTHON, "-m", "launcher.demo", web, *words)
