"""A live server inside the test process, with two workers of the fake backend, for every test that captures."""

import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from django.db import connection
from django.test import override_settings

from sessions_app.models import Session
from tests.factories import make_session, make_token
from tests.processes import free_port


class Live:
    """The product on a loopback port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.token = ""


@pytest.fixture(scope="session")
def _server(django_db_setup: None) -> Iterator[Live]:
    from config.asgi import application

    live = Live(free_port())
    config = uvicorn.Config(
        application, port=live.port, ws="websockets-sansio", ws_max_size=1_048_576, ws_per_message_deflate=False,
        log_config=None, access_log=False, lifespan="on", loop="asyncio", timeout_graceful_shutdown=5,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    with override_settings(EXTRACTOR_BACKEND="fake", EXTRACTOR_WORKERS=2):  # read once, when the server starts
        thread.start()
        while not server.started:
            time.sleep(0.02)
    yield live
    server.should_exit = True
    thread.join(20)
    connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's; the server's threads drew from it too


@pytest.fixture
def live(_server: Live, transactional_db: None, settings) -> Live:
    """The live server, and `u1`'s token."""
    settings.RATE_CAPTURE = settings.RATE_CAPTURE_READ = ""
    _server.token = make_token("u1")
    return _server


@pytest.fixture
def session(live: Live) -> Session:
    """An active session of `u1`."""
    return make_session()
