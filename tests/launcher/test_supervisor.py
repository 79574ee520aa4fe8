"""Children under watch (OPS-6, OPS-9)."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher import supervisor
from launcher.command import Command
from launcher.errors import Refusal
from launcher.supervisor import Supervisor


@pytest.fixture
def watched() -> Iterator[Supervisor]:
    """A supervisor whose children never outlive the test."""
    made = Supervisor()
    yield made
    made.stop()


def _child(code: str, *, name: str = "child", rank: int = 0) -> Command:
    return Command(name, (sys.executable, "-c", code), os.environ, Path("/"), rank=rank)


def test_watch_starts_a_dead_child_again(watched: Supervisor, tmp_path: Path) -> None:
    """OPS-6: a second after its first death."""
    watched.start(_child(f"open({str(tmp_path / 'starts')!r}, 'a').write('x'); import time; time.sleep(0.1)"))

    watched.wait_until(lambda: _size(tmp_path / "starts") == 2, seconds=10, what="a second start")
    assert len(watched.children[0].deaths) == 1


def test_watch_gives_up_on_a_child_that_keeps_dying(watched: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """OPS-6: exit 1 with its last 20 lines."""
    monkeypatch.setattr(supervisor, "DEATHS_MAX", 2)
    watched.start(_child("print(*range(30), sep='\\n'); raise SystemExit(7)"))

    with pytest.raises(Refusal) as given_up:
        watched.wait_until(lambda: False, seconds=10, what="nothing")

    assert str(given_up.value).startswith("10\n11\n")
    assert "29\nchild died 2 times" in str(given_up.value)
    assert given_up.value.exit_code == 1


def test_stop_ends_lower_ranks_first(watched: Supervisor, tmp_path: Path) -> None:
    """OPS-9: web before the servers it talks to."""
    said = tmp_path / "said"
    for name, rank in (("redis", 2), ("web", 0), ("postgres", 3)):
        watched.start(_child(_saying(name, said), name=name, rank=rank))
    watched.wait_until(lambda: _size(said) == 3, seconds=10, what="three children")

    assert watched.stop()
    assert said.read_text() == "...web redis postgres "


def test_stop_kills_what_does_not_listen(watched: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OPS-9: after the time limit, and whatever the child left running too."""
    monkeypatch.setattr(supervisor, "STOP_S", 0.2)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    grandchild = (
        f"import subprocess; open({str(tmp_path / 'pid')!r}, 'w').write(str(subprocess.Popen(['sleep', '60']).pid))"
    )
    child = watched.start(_child(f"{deaf}; {grandchild}; import time; time.sleep(60)"))
    watched.wait_until(lambda: _size(tmp_path / "pid") > 0, seconds=10, what="the grandchild")
    assert child.process is not None
    pids = [child.process.pid, int((tmp_path / "pid").read_text())]

    assert not watched.stop()
    assert not any(_runs(pid) for pid in pids)


def test_run_returns_what_a_command_said(watched: Supervisor) -> None:
    """Exit code, stdout and stderr apart."""
    said = watched.run(_child("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"))

    assert said == (3, "out\n", "err\n")


def _saying(name: str, path: Path) -> str:
    """A child that leaves a dot when it is up and its name when it is told to end."""
    end = f"lambda *_: (open({str(path)!r}, 'a').write('{name} '), exit(0))"
    return f"import signal, time; signal.signal(15, {end}); open({str(path)!r}, 'a').write('.'); time.sleep(60)"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
