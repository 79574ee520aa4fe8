"""The virtual environment (OPS-2), with locks that name nothing: pip has nothing to fetch."""

import shutil
import subprocess
from pathlib import Path

import pytest

from launcher import venv
from launcher.errors import MissingNeed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose locks are empty and whose .venv is in place."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "requirements.lock").write_text("# nothing\n")
    (folder / "requirements-dev.lock").write_text("# nothing either\n")
    venv.ensure(folder, "requirements-dev.lock")
    return folder


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy of it to break."""
    return shutil.copytree(made, tmp_path / "root", symlinks=True)


def test_ensure_installs_nothing_while_the_lock_is_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OPS-2: and the development lock holds the run lock whole."""
    installed: list[str] = []
    monkeypatch.setattr(venv, "_install", lambda venv, lock: installed.append(str(lock)))

    venv.ensure(root, "requirements-dev.lock")
    venv.ensure(root, "requirements.lock")

    assert installed == []


def test_ensure_installs_a_changed_lock(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """OPS-2: the hash in .venv no longer matches."""
    (root / "requirements.lock").write_text("# another nothing\n")

    venv.ensure(root, "requirements.lock")

    assert "requirements.lock" in capfd.readouterr().err


@pytest.mark.parametrize("harm", ["bin/python", "bin", venv.STAMP])
def test_ensure_makes_a_broken_one_again(root: Path, harm: str) -> None:
    """OPS-2: interpreter gone, or an install that was interrupted."""
    hurt = root / ".venv" / harm
    shutil.rmtree(hurt) if hurt.is_dir() else hurt.unlink()

    python = venv.ensure(root, "requirements.lock")

    assert subprocess.run([python, "-c", ""], check=False).returncode == 0
    assert (root / ".venv" / venv.STAMP).exists()


def test_ensure_says_what_is_missing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OPS-1: a missing need is one sentence and exit 3."""
    (root / "requirements.lock").write_text("# another nothing\n")
    monkeypatch.setattr(venv, "PIP_MIN", (999, 0))

    with pytest.raises(MissingNeed, match="pip") as missing:
        venv.ensure(root, "requirements.lock")

    assert missing.value.exit_code == 3


def test_installable_leaves_out_what_only_linux_x86_64_has(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OPS-1: elsewhere the servers are the user's own."""
    lock = root / "requirements.lock"
    lock.write_text(
        "numpy==1 \\\n    --hash=sha256:0\nredislite==6 \\\n    --hash=sha256:0\nredis==8 \\\n    --hash=sha256:0"
    )
    monkeypatch.setattr("sys.platform", "darwin")

    kept = venv._installable(root / ".venv", lock).read_text()

    assert kept == "numpy==1 \\\n    --hash=sha256:0\nredis==8 \\\n    --hash=sha256:0"


def test_ensure_uses_a_symlink_as_it_stands(root: Path) -> None:
    """Somebody else's environment is never rebuilt."""
    (root / ".venv").rename(root / "theirs")
    (root / ".venv").symlink_to("theirs")
    (root / "theirs" / venv.STAMP).unlink()

    venv.ensure(root, "requirements.lock")

    assert not (root / "theirs" / venv.STAMP).exists()


def test_scripts_name_a_missing_python(open_folder: Path) -> None:
    """OPS-1: exit 3 and one sentence."""
    for tool in ("readlink", "dirname", "basename"):
        (open_folder / tool).symlink_to(shutil.which(tool) or "")

    run = venv.__file__.replace("launcher/venv.py", "run")
    done = subprocess.run(["/bin/sh", run], env={"PATH": str(open_folder)}, capture_output=True, text=True, check=False)

    assert done.returncode == 3
    assert "Python 3.11 or 3.12" in done.stderr
    assert done.stderr.count("\n") == 1
