"""routing/pod/processes.py and local_backend.py: local pods as processes (POD-49 to POD-51)."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from routing.models import Pod
from routing.pod import local_backend, processes
from routing.pod.backend import Rise
from routing.pod.local_backend import LocalBackend
from sessions_app import clock
from sessions_app.models import Session
from tests.routing.world import until

SESSION = "sess_0123456789abcdef"


def started(settings: Any, *command: str) -> tuple[str, Path]:
    """What a pod of this command printed, and where it worked."""
    settings.LOCAL_POD_COMMAND = " ".join(command)

    async def run() -> str:
        process = await processes.start(SESSION, "u1", token="t0")
        assert process.child.stdout is not None
        said = (await process.child.stdout.read()).decode()
        await process.child.wait()
        return said

    return asyncio.run(run()), settings.DATA_ROOT / "pods" / SESSION


def test_a_pod_gets_a_clean_environment(settings: Any, monkeypatch: Any) -> None:
    """POD-44, POD-49: these and nothing else."""
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    settings.LLM_BASE_URL, settings.LLM_TIMEOUT_S = "http://model.example/v1", 45
    said, directory = started(settings, "/usr/bin/env")
    env = dict(line.split("=", 1) for line in said.splitlines())
    assert env.pop("USER_POD_PORT").isdigit()
    assert env.keys() - {"PATH", "LANG"} == {
        "SESSION_UUID", "USER_ID", "USER_POD_HOST", "POD_TOKEN", "LLM_BASE_URL", "LLM_TIMEOUT_S",
    }  # fmt: skip
    assert (env["SESSION_UUID"], env["USER_ID"], env["USER_POD_HOST"]) == (SESSION, "u1", "127.0.0.1")
    assert directory.stat().st_mode & 0o777 == 0o750


def test_a_pod_leads_its_group_in_its_directory(settings: Any) -> None:
    """POD-49."""
    program = '"import os; print(os.getpid() == os.getpgrp(), os.getcwd())"'
    said, directory = started(settings, sys.executable, "-I", "-c", program)
    assert said.split() == ["True", str(directory)]


def test_stop_ends_the_whole_group(settings: Any, monkeypatch: Any) -> None:
    """POD-50: SIGTERM, then SIGKILL for what does not heed it."""
    monkeypatch.setattr(processes, "STOP_PATIENCE_S", 0.2)
    settings.LOCAL_POD_COMMAND = "sh -c 'trap \"\" TERM; sleep 60 & echo $!; wait; sleep 60'"

    async def run() -> int:
        process = await processes.start(SESSION, "u1", token="t0")
        assert process.child.stdout is not None
        grandchild = int(await process.child.stdout.readline())
        await processes.stop(process)
        assert process.has_exited
        return grandchild

    grandchild = asyncio.run(run())
    until(lambda: processes.start_time(grandchild) is None)


def test_start_time_tells_processes_apart() -> None:
    """POD-50."""
    own = processes.start_time(os.getpid())
    assert own is not None
    assert processes.is_same(os.getpid(), own)
    assert not processes.is_same(os.getpid(), own + 1)
    assert processes.start_time(2**22 - 1) is None


@pytest.mark.parametrize("command", ["false", "/no/such/program", "sh -c 'echo last words; exit 3'"])
def test_a_pod_that_does_not_start_is_given_up(settings: Any, monkeypatch: Any, command: str) -> None:
    """POD-51: five starts in a row, with its last output kept."""
    settings.LOCAL_POD_COMMAND = command
    monkeypatch.setattr(local_backend, "RESTART_S", (0.0,) * 4)
    starts = []
    start = processes.start

    def counted(*args: Any, **kwargs: Any) -> Any:
        starts.append(args)
        return start(*args, **kwargs)

    monkeypatch.setattr(processes, "start", counted)
    pod = Pod(pk=1, session=Session(session_id=SESSION, user_id="u1"), backend_since=clock.now())

    async def run() -> tuple[Rise, str]:
        backend = LocalBackend(_no_hands, pod)  # type: ignore[arg-type]
        while (rise := await backend.rise(pod)) is Rise.RISING:
            await asyncio.sleep(0.01)
        return rise, backend.output

    rise, output = asyncio.run(run())
    assert rise is Rise.START_FAILED
    assert len(starts) == 5
    assert ("last words" in output) == ("last words" in command)


async def _no_hands(*_: Any, **__: Any) -> None:
    """The rows are of no interest here."""
