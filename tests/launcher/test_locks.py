"""Requirements and locks (OPS-2, OPS-15)."""

from pathlib import Path

from launcher import locks
from launcher.paths import ROOT

HASH = " \\\n    --hash=sha256:00\n"


def test_disagreements_finds_none_here() -> None:
    """What is installed is what the requirements name."""
    assert locks.disagreements(ROOT) == []


def test_disagreements_names_each_fault(tmp_path: Path) -> None:
    """A package that is missing, pinned otherwise, without a hash, or in the run lock alone."""
    (tmp_path / "requirements.txt").write_text("One==1.0\ntwo[extra]==2.0\n")
    (tmp_path / "requirements-dev.txt").write_text("-r requirements.txt\nthree==3.0\n")
    (tmp_path / "requirements.lock").write_text(f"one==1.1{HASH}two==2.0\n")
    (tmp_path / "requirements-dev.lock").write_text(f"one==1.1{HASH}")

    assert locks.disagreements(tmp_path) == [
        "requirements.lock has one 1.1, requirements.txt names 1.0",
        "requirements.lock: two==2.0 has no hash",
        "requirements-dev.lock has three not at all, requirements-dev.txt names 3.0",
        "requirements-dev.lock has two not at all, requirements.lock names 2.0",
    ]
