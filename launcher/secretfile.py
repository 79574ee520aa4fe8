"""`var/secrets.env`: the keys of this checkout, made once, read by nobody else (OPS-5)."""

import os
import secrets
from pathlib import Path

import environ

NAMES = (
    "SECRET_KEY",
    "JWT_SECRET",
    "JWT_REFRESH_SECRET",
    "EXTRACTOR_KEY",
    "PUTT_SOLVER_API_KEY",
    "TEE_TO_GREEN_API_KEY",
)


def ensure(path: Path) -> dict[str, str]:
    """Return the secrets, making those that are missing; what is there is never replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = read_env(path) if path.exists() else {}
    missing = {name: secrets.token_urlsafe(48) for name in NAMES if not kept.get(name)}
    if missing:
        with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as file:
            file.write("".join(f"{name}={value}\n" for name, value in missing.items()))
    path.chmod(0o600)
    return {**kept, **missing}


def read_env(path: Path) -> dict[str, str]:
    """Parse an env file exactly as the settings will."""

    class File(environ.Env):  # type: ignore[misc]
        ENVIRON: dict[str, str] = {}

    File.read_env(str(path))
    return dict(File.ENVIRON)
