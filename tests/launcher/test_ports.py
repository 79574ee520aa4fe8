"""Addresses and ports (OPS-6)."""

import socket
from collections.abc import Iterator

import pytest

from launcher import environment, ports
from launcher.errors import Refusal


@pytest.fixture
def taken() -> Iterator[int]:
    """A port somebody listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:8080", ("127.0.0.1", 8080)), (":8080", ("0.0.0.0", 8080)), ("[::1]:80", ("::1", 80))],
)
def test_parse_reads_every_form(text: str, address: tuple[str, int]) -> None:
    """OPS-63: host:port, all interfaces, IPv6."""
    assert ports.parse(text, name="SERVER_ADDR") == address


@pytest.mark.parametrize("text", ["8080", "localhost", "localhost:", "localhost:0", "localhost:65536", "h:8o80"])
def test_parse_refuses_what_is_no_address(text: str) -> None:
    """The sentence names the variable."""
    with pytest.raises(Refusal, match="SERVER_ADDR"):
        ports.parse(text, name="SERVER_ADDR")


def test_address_replaces_a_taken_default(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """OPS-6: the next free port, with a line saying so."""
    monkeypatch.setattr(environment, "DEFAULT_ADDRESS", f"127.0.0.1:{taken}")

    _, port, notice = environment.address({}, serving=True)

    assert taken < port <= taken + ports.TRIES
    assert str(taken) in notice
    assert str(port) in notice


def test_address_never_replaces_a_named_port(taken: int) -> None:
    """OPS-6: exit 1, naming port and variable."""
    with pytest.raises(Refusal, match=f"{taken}.*SERVER_ADDR") as refused:
        environment.address({"SERVER_ADDR": f"127.0.0.1:{taken}"}, serving=True)

    assert refused.value.exit_code == 1


def test_next_free_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """OPS-6: at most 20 further ports are tried."""
    tried: list[int] = []

    def never(host: str, port: int) -> bool:
        tried.append(port)
        return False

    monkeypatch.setattr(ports, "is_free", never)

    with pytest.raises(Refusal, match="8081 to 8101"):
        ports.next_free("127.0.0.1", 8081)

    assert len(tried) == 21
