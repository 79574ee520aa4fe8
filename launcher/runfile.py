"""What a running Baton leaves in `var/` for the next start: lock, facts, environment (OPS-5, OPS-7, OPS-9)."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from launcher import procfs
from launcher.errors import Refusal
from launcher.supervisor import Child

PATIENCE_S = 10.0  # how long processes of a killed start may take to end by themselves


@dataclass(slots=True)
class RunFile:
    """The lock held; `facts` is what run.json says, without any secret."""

    var: Path
    facts: dict[str, Any] = field(default_factory=dict)

    def record(self, **facts: Any) -> None:
        """Add facts and write run.json in one step, so that a reader never sees half of it."""
        self.facts |= facts
        _write(self.var / "run.json", json.dumps(self.facts, indent=1), 0o644)

    def record_children(self, children: list[Child]) -> None:
        """Keep pid and start time of every child: what a start after SIGKILL must clean up."""
        alive = [child for child in children if child.process]
        self.record(
            processes=[
                {
                    "name": child.command.name,
                    "pid": child.process.pid if child.process else 0,
                    "started": child.started,
                    "stop_signal": int(child.command.stop_signal),
                }
                for child in alive
            ]
        )

    def share(self, env: dict[str, str]) -> None:
        """Leave the environment for `./run manage` beside this one. It holds secrets: mode 0600."""
        _write(self.var / "run.env.json", json.dumps(env), 0o600)

    def forget(self) -> None:
        """Everything has stopped."""
        for name in ("run.json", "run.env.json"):
            (self.var / name).unlink(missing_ok=True)


@contextmanager
def hold(var: Path) -> Iterator[RunFile]:
    """Be the one start of this checkout. Raises Refusal naming URL and pid of the other (OPS-5)."""
    var.mkdir(parents=True, exist_ok=True)
    with (var / "run.lock").open("a+") as lock:
        if not _lock(lock, patience_s=1):  # whoever only asks holds it for an instant
            raise Refusal(_already(var))
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        clean_up(var)
        held = RunFile(var, {"pid": os.getpid(), "boot": procfs.boot_id()})
        try:
            yield held
        finally:
            held.forget()


def clean_up(var: Path) -> None:
    """End the processes of a start that was killed: told by pid and start time, never by name."""
    for process in left_behind(var):
        procfs.end(process["pid"], since=process["started"], stop_signal=process["stop_signal"], patience_s=PATIENCE_S)
    RunFile(var).forget()


def left_behind(var: Path) -> list[dict[str, Any]]:
    """The processes run.json names that still run, or left something running."""
    known = facts(var)
    named = known.get("processes", ()) if known.get("boot") == procfs.boot_id() else ()
    return [process for process in named if procfs.session_members(process["pid"], since=process["started"])]


def is_held(var: Path) -> bool:
    """Whether a start of this checkout is running now."""
    try:
        with (var / "run.lock").open("r+") as lock:
            return not _lock(lock)
    except FileNotFoundError:
        return False


def facts(var: Path) -> dict[str, Any]:
    """What run.json says, or nothing."""
    return _read(var / "run.json")


def shared_env(var: Path) -> dict[str, str]:
    """The environment a running, ready Baton left for `./run manage`, or nothing."""
    return _read(var / "run.env.json")


def _already(var: Path) -> str:
    known = facts(var)
    where = known.get("web") or "it is still starting"
    pid = known.get("pid") or (var / "run.lock").read_text().strip()
    return f"Baton is already running: {where} (pid {pid})."


def _lock(file: IO[str], *, patience_s: float = 0.0) -> bool:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def _write(path: Path, text: str, mode: int) -> None:
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    new.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
