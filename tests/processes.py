"""Real web processes on the test's own database, roots and Redis, and a Redis: to be killed, doubled, restarted."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import redis
from django.conf import settings
from django.db import connection

from launcher import redis as embedded


class WebProcess:
    """`python -m config.server` on a free port; use it as a context manager."""

    def __init__(self, **env: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = ""  # for those that speak as one person
        self.env = {**os.environ, **same_stores(), "SERVER_ADDR": f"127.0.0.1:{self.port}", **env}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "WebProcess":
        """Start it, again if need be, and wait until it answers."""
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
        command = [sys.executable, "-m", "config.server"]
        self.process = subprocess.Popen(
            command, cwd=settings.BASE_DIR, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(self.output())
            try:
                httpx.get(f"{self.url}/livez", timeout=1)
                return self
            except httpx.TransportError:
                time.sleep(0.05)
        raise RuntimeError("the web process does not answer")

    def output(self) -> str:
        """All it printed; only once it has ended."""
        assert self.process is not None
        assert self.process.stdout is not None
        return self.process.stdout.read().decode()

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """POST of JSON."""
        return httpx.post(self.url + path, json=body, headers=headers, timeout=30)

    def __enter__(self) -> "WebProcess":
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process is not None:
            if self.process.poll() is None:
                self.kill()
            if self.process.stdout is not None:
                self.process.stdout.close()


class RedisServer:
    """A Redis that can be killed and started again at the same place, remembering nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis.from_url(self.url)
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = embedded.command(self.folder, self.port)
        self.process = subprocess.Popen(command.argv, env=command.env, cwd=self.folder, stdout=subprocess.DEVNULL)
        while True:
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()


def same_stores() -> dict[str, str]:
    """What a process needs to share this test's database, Redis and roots."""
    database = connection.settings_dict
    secret = f":{database['PASSWORD']}" if database["PASSWORD"] else ""
    where = f"{database['HOST']}:{database['PORT'] or 5432}/{database['NAME']}"
    return {
        "DATABASE_URL": f"postgres://{database['USER']}{secret}@{where}",
        "REDIS_URL": settings.REDIS_URL,
        "DATA_ROOT": str(settings.DATA_ROOT),
        "LOG_ROOT": str(settings.LOG_ROOT),
        "SECRET_KEY": settings.SECRET_KEY,
        "JWT_SECRET": settings.JWT_SECRET,
        "JWT_REFRESH_SECRET": settings.JWT_REFRESH_SECRET,
        "ALLOWED_HOSTS": "127.0.0.1",
        "SESSION_RATE": "",
        "EXTRACTOR_URL": "tcp://127.0.0.1:9",  # nobody is there: a test that captures brings its own
        "EXTRACTOR_KEY": "k" * 32,
    }


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
