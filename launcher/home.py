"""Where the embedded servers keep binaries and data, and who they run as (OPS-4).

As root PostgreSQL runs as `nobody`. Nothing above `var/` is ever given another mode or owner to let it in: where it
cannot pass, it lives in /var/lib/baton/<12 hex of the checkout's path>/.
"""

import hashlib
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from launcher.command import become

FALLBACK = Path("/var/lib/baton")


@dataclass(frozen=True, slots=True)
class Home:
    """A folder for servers; `user` is the uid and gid PostgreSQL must run as, None when that is our own."""

    path: Path
    user: int | None


def of(preferred: Path, *, checkout: Path) -> Home:
    """Make and return the home: `preferred`, or the fallback if we are root and nobody cannot get there."""
    preferred.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return Home(preferred, None)
    nobody = pwd.getpwnam("nobody").pw_uid
    preferred.chmod(0o755)  # ours, whatever the umask was
    if may_run(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(preferred)], nobody):
        return Home(preferred, nobody)
    fallback = fallback_for(checkout)
    for folder in (FALLBACK, fallback):
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(0o755)
    return Home(fallback, nobody)


def fallback_for(checkout: Path) -> Path:
    """The folder that stands in for a `var/` which nobody cannot reach."""
    return FALLBACK / hashlib.sha256(str(checkout).encode()).hexdigest()[:12]


def may_run(argv: list[str], user: int | None) -> bool:
    """Whether that user can run the command, to success."""
    try:
        done = subprocess.run(argv, cwd="/", capture_output=True, timeout=20, check=False, **become(user))
    except (OSError, subprocess.TimeoutExpired):
        return False
    return bool(done.returncode == 0)
