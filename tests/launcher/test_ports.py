"""Addresses and ports (OPS-6)."""

import socket
from collections.abc import Iterator

import pytest

from launcher import environment, ports
from launcher.errors import Refusal
from launcher.ports import Claims


@pytest.fixture
def taken() -> Iterator[int]:
    """A port somebody listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.fixture
def claims() -> Iterator[Claims]:
    """Of one launcher."""
    with Claims() as own:
        yield own


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


def test_address_replaces_a_taken_default(taken: int, claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    """OPS-6: the next free port, with a line saying so."""
    monkeypatch.setattr(environment, "DEFAULT_ADDRESS", f"127.0.0.1:{taken}")

    _, port, notice = environment.address({}, claims)

    assert taken < port <= taken + ports.TRIES
    assert str(taken) in notice
    assert str(port) in notice


def test_address_never_replaces_a_named_port(taken: int, claims: Claims) -> None:
    """OPS-6: exit 1, naming port and variable."""
    with pytest.raises(Refusal, match=f"{taken}.*SERVER_ADDR") as refused:
        environment.address({"SERVER_ADDR": f"127.0.0.1:{taken}"}, claims)

    assert refused.value.exit_code == 1


def test_a_port_another_launcher_has_chosen_is_taken_before_anybody_listens(claims: Claims) -> None:
    """OPS-6: two `./run` within seconds take different ports; the first to end gives its own back."""
    wanted = ports.any_free()

    with Claims() as others:
        assert others.next_free("127.0.0.1", wanted) == wanted
        assert claims.next_free("127.0.0.1", wanted) > wanted

    with Claims() as later:
        assert later.take("127.0.0.1", wanted)


def test_a_named_port_another_launcher_has_chosen_is_refused(claims: Claims) -> None:
    """OPS-6: the second stops at once and says why, not when its process dies."""
    wanted = ports.any_free()

    with Claims() as others:
        assert others.take("127.0.0.1", wanted)
        with pytest.raises(Refusal, match="SERVER_ADDR"):
            environment.address({"SERVER_ADDR": f"127.0.0.1:{wanted}"}, claims)


def test_a_port_somebody_listens_on_is_left_to_him(taken: int, claims: Claims) -> None:
    """It is nobody's claim: whoever finds it free later may have it."""
    assert not claims.take("127.0.0.1", taken)

    with Claims() as others, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ports, "is_free", lambda host, port: True)
        assert others.take("127.0.0.1", taken)


def test_next_free_gives_up(claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    """OPS-6: at most 20 further ports are tried."""
    tried: list[int] = []

    def never(host: str, port: int) -> bool:
        tried.append(port)
        return False

    monkeypatch.setattr(ports, "is_free", never)

    with pytest.raises(Refusal, match="8081 to 8101"):
        claims.next_free("127.0.0.1", 8081)

    assert len(tried) == 21
