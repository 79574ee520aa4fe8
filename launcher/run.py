"""`./run`: start everything, say where it is, stay until asked to end (OPS-5, OPS-9, OPS-10)."""

import os
import shutil
import sys
from datetime import UTC, datetime
from importlib import import_module

from launcher import announce, baton, environment, home, options, runfile
from launcher.baton import Baton
from launcher.errors import Refusal
from launcher.options import Options
from launcher.paths import DATA, LOGS, ROOT, VAR
from launcher.supervisor import StopRequested


def main(arguments: list[str]) -> int:
    """Do what the words ask and return the exit code. Raises Refusal."""
    given = options.parse(arguments)
    if given.word == "serve":
        return _serve(given)
    if given.word == "reset":
        return _reset(given)
    code: int = import_module(f"launcher.{given.word}").main(given)
    return code


def _serve(given: Options) -> int:
    if given.open:
        environment.check_open(environment.given())
    running = None
    try:
        with baton.started(added=environment.OPEN if given.open else {}, serving=True, echo=True) as running:
            print(_start(running, given), flush=True)
            while True:
                running.supervisor.watch(0.5)
    except StopRequested:
        return 130 if running and running.supervisor.interrupted_twice else 0


def _start(running: Baton, given: Options) -> str:
    """Migrate, seed and serve, in this order (OPS-5). Returns what there is to announce."""
    baton.migrate(running)
    seeds = running.servers.postgres.embedded or given.seed
    password = baton.make_admin(running) if seeds else None
    password_line = announce.admin_password(password) if seeds else announce.NO_ADMIN
    try:
        baton.launch(running)
        curl = announce.curl(running)  # while the processes start
        baton.wait_until_ready(running)
    except BaseException:
        if password:
            print(password_line, flush=True)  # it is nowhere else, and the next start makes no other
        raise
    _share(running)
    block = announce.block(running, password_line, curl)
    return f"{announce.open_warning()}\n{block}" if given.open else block


def _share(running: Baton) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    running.runfile.record(started_at=now)
    running.runfile.share(environment.shareable(running.env))


def _reset(given: Options) -> int:
    folders = [path for path in (VAR, DATA, LOGS, home.fallback_for(ROOT)) if path.exists()]
    if runfile.is_held(VAR) or runfile.left_behind(VAR):
        raise Refusal(f"Baton is running (pid {runfile.facts(VAR).get('pid')}): stop it first.")
    if not given.yes:
        if not os.isatty(0):
            raise Refusal("--reset deletes data: confirm it with --yes.")
        print("This deletes:", *folders, sep="\n  ")
        if input("Type yes to go on: ").strip() != "yes":
            return 1
    for folder in folders:
        shutil.rmtree(folder)
        print(f"deleted {folder}", file=sys.stderr)
    return 0
