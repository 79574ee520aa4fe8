"""Door to the local pods' processes (POD-49, POD-50): start one, stop one, tell whether a pid is still the same one."""

import asyncio
import ctypes
import os
import shlex
import shutil
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from django.conf import settings

from sessions_app import paths

STOP_PATIENCE_S = 20.0  # POD-50: between SIGTERM and SIGKILL
OUTPUT_LINES = 20  # POD-51
MODEL_SETTINGS = ("LLM_BASE_URL", "LLM_MODEL", "LLM_API_KEY", "LLM_TIMEOUT_S")
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_START_TIME = 19  # field of /proc/<pid>/stat counted after the command's closing parenthesis


@dataclass(slots=True)
class Process:
    """A running pod: its pid, when that pid began, its port, the secret it asks for, the last lines it wrote."""

    child: asyncio.subprocess.Process
    start: int
    port: int
    token: str
    output: deque[str] = field(default_factory=lambda: deque(maxlen=OUTPUT_LINES))

    @property
    def pid(self) -> int:
        """The pid, which is also its process group."""
        return self.child.pid

    @property
    def has_exited(self) -> bool:
        """Whether the process is gone."""
        return self.child.returncode is not None


async def start(session_id: str, user_id: str, *, token: str) -> Process:
    """Start the pod of a session on a free port. Raises OSError.

    It leads a process group of its own, knows nothing of our environment, and dies with this process.
    """
    port = _free_port()
    child = await asyncio.create_subprocess_exec(
        *command(),
        cwd=_directory(session_id),
        env=_environment(session_id, user_id, port=port, token=token),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        preexec_fn=_alone_with(os.getpid()),
    )
    return Process(child, start_time(child.pid) or 0, port, token)


async def stop(process: Process) -> None:
    """SIGTERM to the whole group, SIGKILL once its patience is over; returns when the process is gone."""
    signal_group(process.pid, signal.SIGTERM)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.child.wait(), STOP_PATIENCE_S)
    signal_group(process.pid, signal.SIGKILL)  # also what the pod itself has left behind
    await process.child.wait()


def command() -> list[str]:
    """What starts a pod: LOCAL_POD_COMMAND split as a shell would, or the reference agent."""
    if settings.LOCAL_POD_COMMAND:
        return shlex.split(settings.LOCAL_POD_COMMAND)
    # By path, not `-m`: the pod runs elsewhere and its environment names no PYTHONPATH. It needs no site-packages.
    return [sys.executable, "-I", "-S", str(Path(__file__).parent.parent / "agent.py")]


def is_same(pid: int, start: int) -> bool:
    """Whether `pid` is still the process that began at `start`."""
    return start_time(pid) == start


def kill_leftover(pid: int, start: int) -> bool:
    """Kill the group of a process another worker left behind; whether there was one (POD-50)."""
    if not is_same(pid, start):
        return False
    signal_group(pid, signal.SIGKILL)
    return True


def forget(session_id: str) -> None:
    """Remove what the session's pod kept in its directory: what was said there ends with it."""
    with suppress(paths.PathRefused):  # a pod that put a link in its own place keeps what is behind it
        shutil.rmtree(paths.pod_directory(session_id), ignore_errors=True)


def start_time(pid: int) -> int | None:
    """When a process began, in clock ticks since boot; None for one that is gone or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None
    return None if fields[0] in "ZX" else int(fields[_START_TIME])


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal a process group; one that is gone needs none."""
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


@cache
def machine() -> str:
    """Where this process's pids mean something: one boot of one machine, one pid namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _directory(session_id: str) -> Path:
    return paths.pod_directory(session_id, create=True)


def _environment(session_id: str, user_id: str, *, port: int, token: str) -> Mapping[str, str]:
    """POD-49: this and nothing else."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    model = {name: str(getattr(settings, name)) for name in MODEL_SETTINGS if getattr(settings, name)}
    return {
        **kept,
        **model,
        "SESSION_UUID": session_id,
        "USER_ID": user_id,
        "USER_POD_PORT": str(port),
        "USER_POD_HOST": "127.0.0.1",
        "POD_TOKEN": token,
    }


def _alone_with(parent: int) -> Callable[[], None]:
    def before_exec() -> None:
        os.setpgid(0, 0)  # uvloop knows no `process_group`
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the kernel knew
            os._exit(1)

    return before_exec
