"""The places of one checkout. `./run` writes below VAR, DATA and LOGS and nowhere else (OPS-4 names the exception)."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VAR = ROOT / "var"
DATA = ROOT / "data"
LOGS = ROOT / "logs"
