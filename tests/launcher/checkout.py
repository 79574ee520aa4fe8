"""A copy of the project in which a test may start, kill and delete what it likes."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from launcher import environment
from launcher.paths import ROOT

SERVERS = {"DATABASE_URL", "REDIS_URL", "DATA_ROOT", "LOG_ROOT", "SECRET_KEY", "JWT_SECRET", "JWT_REFRESH_SECRET"}
UNCOPIED = shutil.ignore_patterns(".venv", ".git", "var", "data", "logs", ".*_cache", "__pycache__", "tests")


class Checkout:
    """A copy of the project that shares our .venv, and the `./run` started in it."""

    def __init__(self, path: Path) -> None:
        self.path, self.var = path, path / "var"
        shutil.copytree(ROOT, path, ignore=UNCOPIED)
        (path / ".venv").symlink_to((ROOT / ".venv").resolve())
        self.running: subprocess.Popen[str] | None = None

    def call(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """`./run words` to its end."""
        argv = [str(self.path / "run"), *words]
        return subprocess.run(argv, env=bare_env() | env, capture_output=True, text=True, timeout=120, check=False)

    def start(self, *words: str, **env: str) -> list[str]:
        """Start `./run` and return what it printed up to `ready`."""
        argv = [str(self.path / "run"), *words]
        with (self.path / "err").open("w") as err:
            self.running = subprocess.Popen(argv, env=bare_env() | env, stdout=subprocess.PIPE, stderr=err, text=True)
        assert self.running.stdout is not None
        lines = []
        while line := self.running.stdout.readline():
            lines.append(line.strip())
            if line == "ready\n":
                return lines
        raise AssertionError((self.path / "err").read_text())

    def stop(self, number: int) -> int:
        """Signal the running `./run` and return its exit code."""
        assert self.running is not None
        self.running.send_signal(number)
        code = self.running.wait(60)
        assert self.running.stdout is not None
        self.running.stdout.close()
        return code

    def processes(self) -> list[str]:
        """Command lines of every process that works in this checkout."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and str(self.path) in _told_of(entry):
                found.append(_told_of(entry))
        return found

    def is_quiet(self, *, within_s: float) -> bool:
        """Whether its last process ends in time."""
        deadline = time.monotonic() + within_s
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.processes()


def bare_env() -> dict[str, str]:
    """Our environment without any setting of Baton."""
    return {name: value for name, value in os.environ.items() if name not in environment.setting_names() | SERVERS}


def _told_of(process: Path) -> str:
    try:
        command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return f"{command} in {os.readlink(process / 'cwd')}"
    except OSError:
        return ""
