"""Real web processes, shared by the tests of this folder, and devices to connect to them.

The rows stay until all of them are done, so every test has a person of its own.
"""

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from django.core.management import call_command

from tests.factories import make_token
from tests.processes import RedisServer, WebProcess
from tests.sockets import Device

Connect = Callable[..., Device]


in_use: list[Any] = []  # what lets us at the database, while `rows` is there


@pytest.fixture(scope="package")
def rows(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The test database, emptied at the end."""
    with django_db_blocker.unblock():
        in_use.append(django_db_blocker)
        yield
        in_use.clear()
        call_command("flush", "--no-input", verbosity=0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test with a database of its own finds it empty, whatever the others of this folder have left."""
    wanted = getattr(item, "fixturenames", ())
    if in_use and (item.get_closest_marker("django_db") or "db" in wanted or "transactional_db" in wanted):
        with in_use[0].unblock():
            call_command("flush", "--no-input", verbosity=0)


@pytest.fixture(scope="package")
def web_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings of the web processes; a module may have others."""
    root = str(tmp_path_factory.mktemp("roots"))
    return {"LOG_ROOT": root, "DATA_ROOT": root, "LOG_LEVEL": "ERROR", "RATE_STATE": "", "RATE_HANDOFF": ""}


@pytest.fixture(scope="package")
def web(rows: None, web_env: dict[str, str]) -> Iterator[WebProcess]:
    """One web process on the test database; a module with other settings has its own."""
    with WebProcess(**web_env) as process:
        yield process


@pytest.fixture(scope="package")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis for those tests that take it away."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture(scope="package")
def pair_env(web_env: dict[str, str], memory: RedisServer) -> dict[str, str]:
    """The settings of processes on that Redis: no limits, and an op_id is known for ever (DEV-44)."""
    return web_env | {
        "REDIS_URL": memory.url, "WS_RATE_PER_S": "10000", "WS_BURST": "10000", "HISTORY_VERSIONS": "1000000",
    }  # fmt: skip


@pytest.fixture(scope="package")
def pair(rows: None, pair_env: dict[str, str]) -> Iterator[list[WebProcess]]:
    """Two web processes on that Redis."""
    processes = [WebProcess(**pair_env), WebProcess(**pair_env)]
    with ExitStack() as stack, ThreadPoolExecutor() as starters:
        list(starters.map(stack.enter_context, processes))
        yield processes


@pytest.fixture
def user() -> str:
    """The person of this test."""
    return f"u-{secrets.token_hex(4)}"


@pytest.fixture
def visitor(web: WebProcess) -> Iterator[Connect]:
    """Opens sockets of nobody yet, and closes them."""
    made: list[Device] = []

    def make(url: str = web.url, **options: Any) -> Device:
        made.append(Device(url, **options))
        return made[-1]

    yield make
    for one in made:
        one.drop()


@pytest.fixture
def device(visitor: Connect, web: WebProcess, user: str) -> Connect:
    """Opens authenticated sockets of the test's person; `.session_id` is where they are."""

    def make(device_id: str = "phone", *, user_id: str = user, url: str = web.url, **auth: Any) -> Device:
        one = visitor(url)
        answer = one.auth(make_token(user_id), device_id, **auth)
        assert answer["type"] == 8, answer
        one.success, one.session_id = answer["payload"], answer["payload"]["session_id"]
        return one

    return make
