"""`python -m launcher run|test|check`: read the words, make .venv, go on inside it."""

import os
import sys
from importlib import import_module
from pathlib import Path

from launcher import options, venv
from launcher.errors import Refusal
from launcher.paths import ROOT, VENV

LOCKS = {"run": "requirements.lock", "test": "requirements-dev.lock", "check": "requirements-dev.lock"}


def main(script: str, arguments: list[str]) -> int:
    """Run one of the three scripts and return its exit code; on the way replaces this process by .venv's Python."""
    if script == "run":
        options.parse(arguments)  # says no before anything is installed
    try:
        if not _inside_venv():
            python = venv.ensure(ROOT, LOCKS[script])
            os.execv(python, [str(python), "-m", "launcher", script, *arguments])
        code: int = import_module(f"launcher.{script}").main(arguments)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return refusal.exit_code
    except KeyboardInterrupt:
        return 130
    return code


def _inside_venv() -> bool:
    return VENV.exists() and Path(sys.prefix).samefile(VENV)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
