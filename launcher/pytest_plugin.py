"""Named in pyproject.toml's addopts: the run's header, and no run at all without the real servers (OPS-14).

Imported before the settings are read, so that each process of a shared run can be given a Redis of its own.
"""

import os
import platform

import django
import psycopg
import pytest
import redis
from django.conf import settings

if "BATON_TEST_SERVERS" not in os.environ:
    raise pytest.UsageError("Start the tests with ./test: it brings PostgreSQL and Redis.")
if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and "BATON_TEST_REDIS" in os.environ:
    os.environ["REDIS_URL"] = os.environ["BATON_TEST_REDIS"].split()[int(worker.removeprefix("gw"))]


def pytest_configure(config: pytest.Config) -> None:
    """Keys of this run cannot meet those of another (OPS-13)."""
    settings.CACHES["default"]["KEY_PREFIX"] = os.environ.get("REDIS_SESSION_PREFIX", "")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Ask the servers of the settings who they are, before the first test."""
    postgres_kind, redis_kind = os.environ["BATON_TEST_SERVERS"].split(",")
    try:
        postgres, redis_version = _postgres_version(), _redis_version()
    except (psycopg.Error, redis.RedisError, AssertionError) as error:
        pytest.exit(f"The tests need a real PostgreSQL and Redis: {error}", returncode=3)
    header = f"PostgreSQL {postgres} ({postgres_kind}), Redis {redis_version} ({redis_kind})"
    header += f", Python {platform.python_version()}, Django {django.get_version()}"
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter:
        reporter.write_line(header)  # also with -q, which hides pytest's own header


def _postgres_version() -> str:
    database = settings.DATABASES["default"]
    assert database["ENGINE"].endswith("postgresql"), f"the settings name {database['ENGINE']}"
    who = {"user": database["USER"], "password": database["PASSWORD"] or None, "dbname": database["NAME"]}
    with psycopg.connect(host=database["HOST"], port=database["PORT"] or 5432, **who) as connection:
        number = connection.info.server_version
    return f"{number // 10000}.{number % 10000}"


def _redis_version() -> str:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        return str(client.info("server")["redis_version"])
