"""A stage for measuring: throw-away servers on the real disk, fsync on, migrated, Django ready.

Call `with stage(): ...` before importing anything of the product. DATABASE_URL and REDIS_URL are honoured.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from launcher import environment, home, servers
from launcher.paths import ROOT
from launcher.supervisor import Supervisor


@contextmanager
def stage() -> Iterator[Path]:
    """Give the folder in which DATA_ROOT and LOG_ROOT lie; everything is gone afterwards."""
    (ROOT / "var").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=ROOT / "var"))
    supervisor = Supervisor()
    supervisor.listen()
    try:
        place = home.of(folder, checkout=folder)
        found = servers.start(supervisor, environment.given(), place, durable=True)
        os.environ.update(found.env, **_settings(folder))
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield folder
    finally:
        supervisor.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _settings(folder: Path) -> dict[str, str]:
    unlimited = {name: "" for name in environment.setting_names() if name.startswith("RATE_") or name.endswith("_RATE")}
    return {
        **unlimited,
        **{name: secrets.token_urlsafe(48) for name in ("SECRET_KEY", "JWT_SECRET", "JWT_REFRESH_SECRET")},
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "LOG_LEVEL": "WARNING",
        "DATA_ROOT": str(folder / "data"),
        "LOG_ROOT": str(folder / "logs"),
    }
