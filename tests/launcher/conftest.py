"""Checkouts of Baton for the tests of the launcher."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launcher.checkout import Checkout


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A temporary folder every user may enter; pytest's own are closed to the user PostgreSQL runs as."""
    folder = Path(tempfile.mkdtemp(prefix="launcher-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def checkout(open_folder: Path) -> Iterator[Checkout]:
    """One checkout for the tests of a module; whatever still runs in it is killed at the end."""
    made = Checkout(open_folder / "baton")
    yield made
    if made.running and made.running.poll() is None:
        made.stop(9)
    made.is_quiet(within_s=30)
