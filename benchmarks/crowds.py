"""Crowds of WebSocket clients, each in a process of its own (socketload.py), and what they cost the server."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.socketload import PER_SESSION

Say = Callable[[str], dict[str, Any]]


@contextmanager
def crowd(port: int, count: int, *, peer: bool = False, kind: str = "update", core: int | None = None) -> Iterator[Say]:
    """So many clients that send `kind`; call what it gives with a command of socketload's Crowd to get the report."""
    tokens = [""] * (count // PER_SESSION + 1) if peer else _tokens(count // PER_SESSION + 1)
    plan = {"port": port, "peer": peer, "kind": kind, "connections": count, "tokens": tokens}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(plan, file)
        file.flush()
        command = [sys.executable, "-m", "benchmarks.socketload", file.name]
        place = Path(__file__).parent.parent
        process = subprocess.Popen(command, cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        if core is not None:
            os.sched_setaffinity(process.pid, {core})

        def say(words: str) -> dict[str, Any]:
            process.stdin.write(words + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            answer: dict[str, Any] = json.loads(process.stdout.readline())  # type: ignore[union-attr]
            return answer

        try:
            yield say
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()


def resident_kib(pid: int) -> int:
    """The memory a process has in use."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def allow_open_files() -> None:
    """Raise this process's limit, which those it starts inherit: each socket is an open file at both ends."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _tokens(count: int) -> list[str]:
    """One for each of so many people nobody has seen before."""
    from sessions_app.access import tokens

    begun = time.time_ns()
    return [tokens.issue(f"crowd-{begun}-{number}", access_ttl_s=86_400)["access_token"] for number in range(count)]
