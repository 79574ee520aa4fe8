"""One Baton on this machine: servers, settings, first-run data, processes, in the order of OPS-5."""

import http.client
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from launcher import environment, home, processes, runfile, secretfile, servers, solvers
from launcher.errors import Refusal
from launcher.paths import ROOT, VAR
from launcher.ports import Claims
from launcher.runfile import RunFile
from launcher.servers import Servers
from launcher.supervisor import Supervisor

READY_S = 90.0
ADMIN = "admin"
PASSWORD_LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that looks like another


@dataclass(frozen=True, slots=True)
class Baton:
    """What `./run`, `./run demo` and `./run manage` work with. `web` is a URL; `notices` are lines for the user."""

    supervisor: Supervisor
    runfile: RunFile
    home: Path
    servers: Servers
    env: dict[str, str]
    web: str
    solvers: tuple[str, ...] = ()
    notices: list[str] = field(default_factory=list)


@contextmanager
def started(*, added: dict[str, str], serving: bool, echo: bool) -> Iterator[Baton]:
    """Hold the checkout, start the servers it needs, and stop everything at the end.

    `added` settings beat the user's. Only when `serving` must the web address be free. With `echo` the logs of the
    processes are shown as they come.
    Raises Refusal, StopRequested.
    """
    with runfile.hold(VAR) as held, Claims() as claims:
        supervisor = Supervisor(echo=echo, changed=held.record_children)
        supervisor.listen()
        try:
            yield _prepare(supervisor, held, environment.given() | added, claims if serving else None)
        finally:
            supervisor.stop()


def launch(baton: Baton) -> None:
    """Start the processes of Baton."""
    for command in processes.commands(baton.env, solvers=baton.solvers):
        baton.supervisor.start(command)


def wait_until_ready(baton: Baton) -> None:
    """Return when /readyz is 200. Raises Refusal."""
    baton.supervisor.wait_until(lambda: _is_ready(baton), seconds=READY_S, what=f"{baton.web}/readyz")


def migrate(baton: Baton) -> None:
    """Bring the database and the folders to what this version needs."""
    for name in ("DATA_ROOT", "LOG_ROOT"):
        (ROOT / baton.env[name]).mkdir(parents=True, exist_ok=True)
    must(baton, "migrate", "--no-input")


def make_admin(baton: Baton) -> str | None:
    """Make the superuser if there is none yet and return its password, which is stored only hashed (OPS-8)."""
    done = baton.home / "seeded"
    if baton.servers.postgres.embedded and done.exists():
        return None
    password = "".join(secrets.choice(PASSWORD_LETTERS) for _ in range(20))
    env = {**baton.env, "DJANGO_SUPERUSER_PASSWORD": password}
    words = ["createsuperuser", "--no-input", "--username", ADMIN, "--email", f"{ADMIN}@localhost"]
    code, _, err = baton.supervisor.run(processes.manage(env, *words))
    if code != 0 and "already taken" not in err:
        raise Refusal(f"{err.strip()}\nmanage.py createsuperuser failed with {code}.")
    if baton.servers.postgres.embedded:
        done.touch()
    return password if code == 0 else None


def must(baton: Baton, *words: str) -> str:
    """Run a management command and return what it prints. Raises Refusal with its own words if it fails."""
    code, out, err = baton.supervisor.run(processes.manage(baton.env, *words))
    if code != 0:
        raise Refusal(f"{out}{err}".strip() + f"\nmanage.py {words[0]} failed with {code}.")
    return out.strip()


def _prepare(supervisor: Supervisor, held: RunFile, said: dict[str, str], claims: Claims | None) -> Baton:
    notices = []
    host, port, moved = environment.address(said, claims)
    place = home.of(VAR, checkout=ROOT)
    if moved:
        notices.append(moved)
    if place.path != VAR:
        notices.append(f"data: PostgreSQL lives in {place.path}, because the user nobody cannot reach {VAR}")
    found = servers.start(supervisor, said, place, durable=True)
    golf = solvers.settle(said, claims) if claims else solvers.Solvers()
    notices += golf.notices
    env = environment.of_children(said, secretfile.ensure(VAR / "secrets.env"), host, port) | found.env | dict(golf.env)
    held.record(
        web=environment.web_url(host, port) if claims else None,
        home=str(place.path),
        postgres={"version": found.postgres.version, "kind": found.postgres.kind},
        redis={"version": found.redis.version, "kind": found.redis.kind},
    )
    return Baton(supervisor, held, place.path, found, env, environment.web_url(host, port), golf.argv, notices)


def _is_ready(baton: Baton) -> bool:
    """Ask /readyz under a name the web process answers to."""
    allowed = baton.env["ALLOWED_HOSTS"].split(",")[0].strip()
    connection = http.client.HTTPConnection(urlsplit(baton.web).netloc, timeout=3)
    headers = {} if allowed == "*" else {"Host": allowed.lstrip(".")}
    try:
        connection.request("GET", "/readyz", headers=headers)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
