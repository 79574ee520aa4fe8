"""The block `./run` prints when it is ready (OPS-7)."""

import json
import os
import shlex
import sys
import uuid

from launcher import baton
from launcher.baton import Baton

NO_ADMIN = "admin password: none made on an external database (./run --seed, or ./run manage createsuperuser)"
RED, PLAIN = "\033[31m", "\033[0m"


def block(running: Baton, password_line: str, curl: str) -> str:
    """One item per line, stable words before the colon."""
    postgres, redis = running.servers.postgres, running.servers.redis
    lines = [
        *running.notices,
        f"web: {running.web}",
        f"admin: {running.web}/admin/",
        f"docs: {running.web}/docs/",
        f"demo: {running.web}/demo/gesture",
        f"postgres: {postgres.version} {postgres.kind}",
        f"redis: {redis.version} {redis.kind}{_for_trying(redis.version) if redis.embedded else ''}",
        password_line,
        f"try: {curl}",
        "ready",
    ]
    return "\n".join(lines)


def curl(running: Baton) -> str:
    """A command that answers 201 when pasted: a new state for `demo-user`, with a fresh token."""
    token = baton.must(running, "issue_token", "demo-user", "--access-only")
    snapshot = {"session_id": str(uuid.uuid4()), "user_id": "demo-user", "state_data": {"current_mood": "calm"}}
    words = ["curl", "-i", f"{running.web}/session/snapshot", "-H", f"Authorization: Bearer {token}"]
    return shlex.join([*words, "-H", "Content-Type: application/json", "-d", json.dumps(snapshot)])


def admin_password(password: str | None) -> str:
    """The line that shows a new password, this once, or says that there is no new one (OPS-8)."""
    return f"admin password: {password or f'unchanged (./run manage changepassword {baton.ADMIN})'}"


def open_warning() -> str:
    """The red line of `./run --open` (OPS-10)."""
    text = "open: nobody has to sign in and DEBUG is on; reachable from this machine only"
    return f"{RED}{text}{PLAIN}" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else text


def _for_trying(version: str) -> str:
    return " (no longer maintained: for trying and tests only)" if version.startswith("6.") else ""
