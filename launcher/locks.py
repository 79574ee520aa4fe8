"""Whether the locks hold what the requirements name (OPS-2)."""

import re
from pathlib import Path

PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)
PAIRS = (("requirements.txt", "requirements.lock"), ("requirements-dev.txt", "requirements-dev.lock"))


def disagreements(root: Path) -> list[str]:
    """One line for each package that a lock lacks, pins otherwise, or holds without a hash."""
    found = []
    for wanted_name, lock_name in PAIRS:
        found += _lacking(root / wanted_name, root / lock_name)
        found += _unhashed(root / lock_name)
    return found + _lacking(root / "requirements.lock", root / "requirements-dev.lock")


def _lacking(wanted: Path, lock: Path) -> list[str]:
    locked = pins(lock)
    return [
        f"{lock.name} has {name} {locked.get(name, 'not at all')}, {wanted.name} names {version}"
        for name, version in pins(wanted).items()
        if locked.get(name) != version
    ]


def _unhashed(lock: Path) -> list[str]:
    entries = re.split(r"\n(?=[A-Za-z0-9])", lock.read_text())
    return [
        f"{lock.name}: {entry.split()[0]} has no hash"
        for entry in entries
        if PIN.match(entry) and "--hash=" not in entry
    ]


def pins(path: Path) -> dict[str, str]:
    """Package to version, for every `name==version` line. Names in their normal form."""
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in PIN.findall(path.read_text())}
