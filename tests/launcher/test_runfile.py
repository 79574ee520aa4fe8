"""What a start leaves in var/ (OPS-5, OPS-9)."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher import procfs, runfile
from launcher.errors import Refusal


@pytest.fixture
def leftover() -> Iterator[subprocess.Popen[bytes]]:
    """A process such as a killed start leaves behind."""
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_hold_refuses_a_second_start(tmp_path: Path) -> None:
    """OPS-5: naming URL and pid of the first."""
    with runfile.hold(tmp_path) as held:
        held.record(web="http://127.0.0.1:8080")

        with pytest.raises(Refusal, match=rf"http://127.0.0.1:8080 \(pid {os.getpid()}\)"), runfile.hold(tmp_path):
            pass

        assert runfile.is_held(tmp_path)
    assert not runfile.is_held(tmp_path)
    assert not (tmp_path / "run.json").exists()


def test_hold_ends_what_a_killed_start_left(tmp_path: Path, leftover: subprocess.Popen[bytes]) -> None:
    """OPS-9: told by pid and start time."""
    _leave(tmp_path, leftover.pid, procfs.started(leftover.pid) or 0)

    with runfile.hold(tmp_path):
        assert leftover.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize("boot", [None, "another boot"])
def test_hold_leaves_a_stranger_alone(tmp_path: Path, leftover: subprocess.Popen[bytes], boot: str | None) -> None:
    """OPS-9: the pid is somebody else's by now."""
    started = (procfs.started(leftover.pid) or 0) + (1 if boot is None else 0)
    _leave(tmp_path, leftover.pid, started, boot=boot)

    with runfile.hold(tmp_path):
        assert leftover.poll() is None


def test_share_is_for_the_owner_only(tmp_path: Path) -> None:
    """It holds the database's password."""
    with runfile.hold(tmp_path) as held:
        held.share({"DATABASE_URL": "postgres://baton:secret@127.0.0.1/baton"})

        assert (tmp_path / "run.env.json").stat().st_mode & 0o777 == 0o600
        assert runfile.shared_env(tmp_path)["DATABASE_URL"].startswith("postgres://")


def _leave(var: Path, pid: int, started: int, *, boot: str | None = None) -> None:
    process = {"name": "web", "pid": pid, "started": started, "stop_signal": int(signal.SIGTERM)}
    runfile.RunFile(var).record(boot=boot or procfs.boot_id(), processes=[process])
