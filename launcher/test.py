"""`./test`: pytest against throw-away servers, in folders that are deleted afterwards (OPS-13)."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import redis

from launcher import environment, home, ports, secretfile, servers
from launcher import redis as embedded_redis
from launcher.command import Command
from launcher.errors import MissingNeed, Refusal
from launcher.home import Home
from launcher.paths import ROOT
from launcher.processes import PYTHON
from launcher.servers import Servers
from launcher.supervisor import StopRequested, Supervisor

REDIS_DATABASE = 15
MOST_WORKERS = 4
USERS_OWN = {"KUBECONFIG"}  # what tests marked `cluster` are pointed at


def main(arguments: list[str]) -> int:
    """Run pytest and return its exit code. Raises MissingNeed, Refusal."""
    supervisor = Supervisor()
    supervisor.listen()
    with _folder() as place:
        wanted = _wanted()
        try:
            found = servers.start(supervisor, wanted, place, durable=False)
            env = _env(found, place.path)
            if not arguments and (workers := _workers(found)) > 1:
                arguments = ["--numprocesses", str(workers), "--dist", "loadfile"]
                env["BATON_TEST_REDIS"] = " ".join([found.redis.url, *_more_redis(supervisor, place, workers - 1)])
            pytest = Command("pytest", (PYTHON, "-m", "pytest", *arguments), env, ROOT)
            return supervisor.foreground(pytest)
        except StopRequested:
            return 130
        finally:
            supervisor.stop()
            if url := wanted.get("REDIS_URL"):
                _empty(url)


@contextmanager
def _folder() -> Iterator[Home]:
    """A temporary folder that PostgreSQL can reach, also when it must run as nobody."""
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):
        folder = Path(tempfile.mkdtemp(prefix="baton-test-", dir=parent))
        try:
            place = home.of(folder, checkout=folder)
            if place.path == folder:
                yield place
                return
            shutil.rmtree(place.path, ignore_errors=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    raise Refusal("No temporary folder can be reached by the user nobody, whom PostgreSQL runs as.")


def _workers(found: Servers) -> int:
    """How many processes share the whole suite: one for each core, but one alone on servers that are not ours."""
    ours = found.postgres.embedded and found.redis.embedded
    return min(len(os.sched_getaffinity(0)), MOST_WORKERS) if ours else 1


def _more_redis(supervisor: Supervisor, place: Home, number: int) -> Iterator[str]:
    """So that each worker has one of its own: some tests empty theirs, and its channels know no databases."""
    for count in range(number):
        folder = place.path / f"redis-{count}"
        folder.mkdir()
        yield embedded_redis.start(supervisor, folder, ports.any_free())


def _wanted() -> dict[str, str]:
    """The servers the user named, with the Redis database that belongs to tests. Raises MissingNeed."""
    said = environment.given()
    if url := servers.external_redis(said):
        said["REDIS_URL"] = urlsplit(url)._replace(path=f"/{REDIS_DATABASE}").geturl()
        servers.redis_version(said["REDIS_URL"])
        with redis.Redis.from_url(said["REDIS_URL"]) as client:
            if client.dbsize():
                raise MissingNeed(
                    f"An empty Redis database {REDIS_DATABASE} is needed; the one of REDIS_URL holds keys."
                )
    return said


def _empty(url: str) -> None:
    """Leave the user's Redis as it was: the database was empty before."""
    with suppress(redis.RedisError), redis.Redis.from_url(url) as client:
        client.flushdb()


def _env(found: Servers, folder: Path) -> dict[str, str]:
    """An environment in which nothing of the user's own settings is left and every path is below `folder`."""
    ours = environment.setting_names() - USERS_OWN
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    for name in ("data", "logs", "tmp"):
        (folder / name).mkdir()
    return {
        **clean,
        **found.env,
        **{name: secrets.token_urlsafe(48) for name in secretfile.NAMES},
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "DATA_ROOT": str(folder / "data"),
        "LOG_ROOT": str(folder / "logs"),
        "DEBUG_BUNDLE_DIR": str(folder / "debug_bundles"),
        "REDIS_SESSION_PREFIX": f"test-{secrets.token_hex(4)}",
        "TMPDIR": str(folder / "tmp"),
        "BATON_TEST_SERVERS": f"{found.postgres.kind},{found.redis.kind}",
    }
