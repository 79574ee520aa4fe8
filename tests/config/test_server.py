"""The web process (OPS-59, OPS-71)."""

import signal
import time

import httpx
import pytest

from config import server
from tests.processes import WebProcess


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:8080", ("127.0.0.1", 8080)), (":8000", ("0.0.0.0", 8000)), ("[::1]:8080", ("::1", 8080))],
)
def test_address_reads_every_form(text: str, address: tuple[str, int]) -> None:
    """OPS-63: SERVER_ADDR."""
    assert server.address(text) == address


@pytest.mark.django_db(transaction=True)
def test_sigterm_drains_before_it_ends() -> None:
    """OPS-71: /readyz says no at once, listening goes on for a while, exit 0."""
    with WebProcess() as web, httpx.Client(base_url=web.url, timeout=5) as client:
        assert web.process is not None
        assert client.get("/readyz").json()["checks"]["draining"] == "ok"

        web.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        late = httpx.get(f"{web.url}/readyz", timeout=5)  # a new connection

        assert (late.status_code, late.json()["checks"]["draining"]) == (503, "draining")
        assert web.process.wait(20) == 0


@pytest.mark.django_db(transaction=True)
def test_answers_do_not_name_the_server() -> None:
    """OPS-59."""
    with WebProcess() as web:
        assert "server" not in httpx.get(f"{web.url}/livez", timeout=5).headers
