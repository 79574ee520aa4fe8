"""What every test has: roots of its own, a Redis database of its own, and people with known rights."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management.commands import flush
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations
from django.test.utils import setup_databases, teardown_databases
from servestatic.middleware import ServeStaticMiddleware

from sessions_app.access import revocations, tallies
from tests.clients import Api
from tests.factories import make_token

MADE_BY_MIGRATE = ("auth_permission", "django_content_type")  # kept, as making them again takes 0.2 s


@pytest.fixture(autouse=True, scope="session")
def quick_flush() -> None:
    """After a test with real transactions a few rows are deleted; TRUNCATE would make every table's files anew."""
    truncate = DatabaseOperations.sql_flush

    def delete(self: Any, style: Any, tables: list[str], *, reset_sequences: bool = False, **options: Any) -> list[str]:
        if reset_sequences:
            return truncate(self, style, tables, reset_sequences=True, **options)
        own = [table for table in tables if table not in MADE_BY_MIGRATE]
        return [f"DELETE FROM {self.quote_name(table)};" for table in own]  # foreign keys are checked at the end

    flush.emit_post_migrate_signal = lambda *_, **__: None  # type: ignore[attr-defined]
    DatabaseOperations.sql_flush = delete  # type: ignore[assignment,method-assign]


@pytest.fixture(autouse=True, scope="session")
def no_authorities(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test speaks TLS to the world; reading its 140 certificates takes every client of httpx a tenth of a second."""
    os.environ.pop("SSL_CERT_FILE", None)
    os.environ["SSL_CERT_DIR"] = str(tmp_path_factory.mktemp("authorities"))


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_modify_db_settings: None, django_db_blocker: Any
) -> Iterator[None]:
    """A test database for every run: pytest-django's makes none where tests only drive web processes on it."""
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
    yield
    with django_db_blocker.unblock():
        teardown_databases(made, verbosity=0)


@pytest.fixture(autouse=True, scope="session")
def static_files_once() -> None:
    """Each test client sets up the middleware anew; only the first one looks at every static file."""
    look, seen = ServeStaticMiddleware.add_files_from_finders, dict[str, Any]()

    def add(self: Any) -> None:
        if not seen:
            look(self)
            seen.update(files=self.files, directories=self.directories)
        self.files, self.directories = dict(seen["files"]), list(seen["directories"])

    ServeStaticMiddleware.add_files_from_finders = add


@pytest.fixture(autouse=True, scope="session")
def nobody_left_in_the_database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The test database can be dropped only when no thread or process of a test holds a connection any more."""
    yield
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        cursor.execute(others, cursor.fetchone())
        connection.close()


@pytest.fixture(autouse=True)
def roots(tmp_path: Path, settings: Any) -> Path:
    """DATA_ROOT and LOG_ROOT below the test's own directory."""
    settings.DATA_ROOT, settings.LOG_ROOT = tmp_path / "data", tmp_path / "logs"
    settings.DATA_ROOT.mkdir()
    settings.LOG_ROOT.mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """Hashing a password takes a second by design; what tests ask about it does not depend on that."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def fresh_limits() -> None:
    """No test is limited, nor kept out, by what another one did."""
    cache.clear()
    revocations.forget_everything()
    tallies.forget_everything()


@pytest.fixture
def api(db: None) -> Api:
    """HTTP as the person `u1`."""
    return Api(make_token("u1"))


@pytest.fixture
def carer(db: None) -> Api:
    """HTTP as an operator."""
    return Api(make_token("carer01", roles=("user", "operator")))


@pytest.fixture
def service(db: None, settings: Any) -> Api:
    """HTTP with an API key."""
    settings.SERVICE_API_KEYS = {"notes": "k" * 40}
    return Api(api_key="k" * 40)
