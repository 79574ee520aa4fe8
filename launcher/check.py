"""`./check`: everything that can be checked without a server, all of it, one line each (OPS-15)."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from launcher import environment, locks, secretfile
from launcher.paths import ROOT, VENV

BIN = VENV / "bin"
PYTHON = str(BIN / "python")
PACKAGES = ("config", "sessions_app", "devices", "gestures", "routing", "launcher", "tests", "manage.py")

TOOLS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("style", (str(BIN / "ruff"), "check", ".")),
    ("format", (str(BIN / "ruff"), "format", "--check", ".")),
    ("import rules", (str(BIN / "lint-imports"),)),
    ("types", (str(BIN / "mypy"), *(name for name in PACKAGES if (ROOT / name).exists()))),
    ("missing migrations", (PYTHON, "manage.py", "makemigrations", "--check", "--dry-run")),
    ("schema", (PYTHON, "manage.py", "spectacular", "--validate", "--fail-on-warn", "--file", os.devnull)),
    ("settings", (PYTHON, "manage.py", "check", "--deploy", "--fail-level", "WARNING")),
)


def main(arguments: list[str]) -> int:
    """Run every step and return 1 if any failed. Takes no arguments."""
    if arguments:
        print("usage: ./check", file=sys.stderr)
        return 2
    env = _env()
    steps: list[tuple[str, Callable[[], str]]] = [(name, partial(_tool, argv, env)) for name, argv in TOOLS]
    failed = [name for name, step in [*steps, ("locks", _locks)] if not _report(name, step)]
    print(f"check: {', '.join(failed)} failed" if failed else "check: all passed")
    return 1 if failed else 0


def _report(name: str, step: Callable[[], str]) -> bool:
    began = time.monotonic()
    complaint = step()
    seconds = time.monotonic() - began
    print(f"{'FAIL' if complaint else 'ok  '} {name} {seconds:.1f} s", flush=True)
    if complaint:
        print(complaint, flush=True)
    return not complaint


def _tool(argv: tuple[str, ...], env: dict[str, str]) -> str:
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}".strip() or f"exit {done.returncode}"


def _locks() -> str:
    return "\n".join(locks.disagreements(ROOT))


def _env() -> dict[str, str]:
    """Settings as a careful deployment has them. The database's port is one nobody listens on."""
    clean = {name: value for name, value in os.environ.items() if name not in environment.setting_names()}
    return {
        **clean,
        **{name: secrets.token_urlsafe(48) for name in secretfile.NAMES},
        "DATABASE_URL": "postgres://baton@127.0.0.1:1/baton",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "PUBLIC_URL": "https://baton.example",
        "ALLOWED_HOSTS": "baton.example",
        "NO_COLOR": "1",
    }
