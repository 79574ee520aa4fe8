"""Which servers are used, and the embedded ones (OPS-3, OPS-4, OPS-13)."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from launcher import home, ports, postgres, servers, test
from launcher.errors import MissingNeed
from launcher.supervisor import Supervisor


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """A supervisor whose servers end with the test."""
    made = Supervisor()
    yield made
    made.stop()


def test_start_brings_a_postgres_that_asks_for_a_password(
    supervisor: Supervisor, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OPS-3, OPS-4: on 127.0.0.1, durable; a var/ that nobody cannot reach stays as it is."""
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(home, "FALLBACK", open_folder / "fallback")

    umask = os.umask(0o077)
    try:
        place = home.of(closed / "var", checkout=closed)
    finally:
        os.umask(umask)
    url = postgres.start(supervisor, postgres.prepare(place, durable=True), ports.any_free())

    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert place.path.is_relative_to(open_folder / "fallback") == (os.geteuid() == 0)
    with psycopg.connect(url) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url.replace(postgres.NAME + ":", postgres.NAME + ":not"))


def test_prepare_makes_an_interrupted_initdb_again(open_folder: Path) -> None:
    """A folder that was never finished has another name."""
    place = home.of(open_folder / "again", checkout=open_folder)
    (place.path / "postgres" / "data-18.new" / "half").mkdir(parents=True)

    cluster = postgres.prepare(place, durable=False)

    assert (cluster.data / "PG_VERSION").exists()
    assert not (place.path / "postgres" / "data-18.new").exists()


@pytest.mark.parametrize(
    "url", ["sqlite:///db.sqlite3", "mysql://u@localhost/db", "postgres://nobody@127.0.0.1:1/none", "nonsense"]
)
def test_check_postgres_refuses_what_is_none(url: str) -> None:
    """OPS-3: exit 3. There is no SQLite."""
    with pytest.raises(MissingNeed, match="DATABASE_URL"):
        servers.check_postgres(url)


def test_check_postgres_refuses_an_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """CON-15: 15 or newer."""
    monkeypatch.setattr(servers, "POSTGRES_OLDEST", 99)

    with pytest.raises(MissingNeed, match="99 or newer"):
        servers.check_postgres(os.environ["DATABASE_URL"])


def test_redis_version_refuses_what_does_not_answer() -> None:
    """OPS-3: exit 3."""
    with pytest.raises(MissingNeed, match="REDIS_URL"):
        servers.redis_version("redis://127.0.0.1:1/0")


@pytest.mark.parametrize(
    ("env", "url"),
    [
        ({}, ""),
        ({"REDIS_URL": "redis://a/1", "REDIS_ADDR": "b:1"}, "redis://a/1"),
        ({"REDIS_ADDR": "b:1", "REDIS_HOST": "c", "REDIS_DB": "2"}, "redis://b:1/2"),
        ({"REDIS_HOST": "c", "REDIS_PASSWORD": "p"}, "redis://:p@c:6379/0"),
    ],
)
def test_external_redis_knows_the_older_names(env: dict[str, str], url: str) -> None:
    """OPS-63: REDIS_URL wins, then REDIS_ADDR, then host and port."""
    assert servers.external_redis(env) == url


def test_test_refuses_a_redis_database_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """OPS-13: database 15 is for tests, unless it holds keys."""
    url = os.environ["REDIS_URL"].rpartition("/")[0]
    with redis.Redis.from_url(f"{url}/{test.REDIS_DATABASE}") as client:
        client.set("somebody", "else's")
        try:
            with pytest.raises(MissingNeed, match="holds keys"):
                test._wanted()
        finally:
            client.flushdb()
