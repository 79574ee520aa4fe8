"""A real web process, shared by the tests of a module."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.factories import make_token
from tests.processes import WebProcess
from tests.sockets import Device


@pytest.fixture(scope="module")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    """One web process on the test database."""
    logs = tmp_path_factory.mktemp("logs")
    with WebProcess(LOG_ROOT=str(logs), DATA_ROOT=str(logs), LOG_LEVEL="ERROR") as process:
        yield process


@pytest.fixture
def device(web: WebProcess, transactional_db: None) -> Iterator[Callable[..., Device]]:
    """Makes authenticated devices of the person `u1`, and closes them."""
    made: list[Device] = []

    def make(device_id: str = "phone", *, user_id: str = "u1", **auth: Any) -> Device:
        one = Device(web.url)
        made.append(one)
        one.success = one.auth(make_token(user_id), device_id, **auth)  # type: ignore[attr-defined]
        return one

    yield make
    for one in made:
        one.close()
