"""Reading the session logs that a test has caused."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings


def log_path(user_id: str, session_id: str) -> Path:
    """Where the contract says the log is (SES-37), built without the product's own helper."""
    return Path(settings.LOG_ROOT) / "users" / user_id / "sessions" / f"{session_id}.jsonl"


def lines(user_id: str, session_id: str) -> list[dict[str, Any]]:
    """Every line of the log, parsed."""
    return [json.loads(line) for line in log_path(user_id, session_id).read_bytes().splitlines()]


def events(user_id: str, session_id: str) -> list[dict[str, Any]]:
    """Every event of the log."""
    return [line["event"] for line in lines(user_id, session_id)]


def all_files() -> list[Path]:
    """Every file below LOG_ROOT."""
    return sorted(path for path in Path(settings.LOG_ROOT).rglob("*") if path.is_file())
