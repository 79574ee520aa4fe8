"""The processes of Baton: the one list that ./run starts, watches and stops (OPS-5, OPS-9)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from launcher.command import Command
from launcher.paths import ROOT, VENV

PYTHON = str(VENV / "bin/python")


@dataclass(frozen=True, slots=True)
class Process:
    """One process by name; `rank` orders the stop: web drains first, the others stop together, then the servers."""

    name: str
    argv: tuple[str, ...]
    rank: Literal[0, 1]


TABLE = (
    Process("web", ("-m", "config.server"), rank=0),
    Process("pods", ("manage.py", "run_pods"), rank=1),
)


def commands(env: Mapping[str, str], *, solvers: tuple[str, ...]) -> list[Command]:
    """What to start, in this order; `solvers` is how the reference solvers start, or empty."""
    table = (*TABLE, Process("solvers", solvers, rank=1)) if solvers else TABLE
    return [
        Command(name=process.name, argv=(PYTHON, *process.argv), env=env, cwd=ROOT, rank=process.rank)
        for process in table
    ]


def manage(env: Mapping[str, str], *words: str) -> Command:
    """One management command."""
    return Command(name=f"manage.py {words[0]}", argv=(PYTHON, "manage.py", *words), env=env, cwd=ROOT)
