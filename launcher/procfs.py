"""Who is running, told by pid and start time: a pid alone may belong to a stranger by now (OPS-9)."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
GONE_S = 2.0  # SIGKILL takes effect within this time, or never (another user's process)


def started(pid: int) -> int | None:
    """Start time in clock ticks since boot, or None if there is no such process (a zombie is none)."""
    fields = _stat(pid)
    return None if fields is None or fields[0] == "Z" else int(fields[19])


def boot_id() -> str:
    """Names this boot of this machine: start times of another one mean nothing here."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def session_members(leader: int, *, since: int) -> list[int]:
    """Processes of the session that `leader` opened, started at or after `since` ticks: it and what it left behind."""
    found = []
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        fields = _stat(int(entry.name)) if entry.name.isdigit() else None
        if fields and fields[0] != "Z" and int(fields[3]) == leader and int(fields[19]) >= since:
            found.append(int(entry.name))
    return found


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended meanwhile."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def end(leader: int, *, since: int, stop_signal: int, patience_s: float) -> None:
    """Stop a session of processes we started earlier, first politely, then by SIGKILL."""
    members = session_members(leader, since=since)
    if members:
        send(leader if leader in members else members[0], stop_signal)
    deadline = time.monotonic() + patience_s
    while session_members(leader, since=since) and time.monotonic() < deadline:
        time.sleep(0.05)
    kill(leader, since=since)


def kill(leader: int, *, since: int) -> None:
    """SIGKILL what is left of a session and wait until it is gone."""
    deadline = time.monotonic() + GONE_S
    while (members := session_members(leader, since=since)) and time.monotonic() < deadline:
        for pid in members:
            send(pid, signal.SIGKILL)
        time.sleep(0.01)


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat after the command's name: state first, session fourth, start time twentieth."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
