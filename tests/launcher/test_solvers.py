"""Where the reference solvers listen, and who is told (OPS-5, OPS-6)."""

import socket

import pytest

from launcher import environment, ports, solvers
from launcher.ports import Claims


@pytest.fixture
def taken():
    """A port of 127.0.0.1 that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def claims():
    """Of one launcher."""
    with Claims() as own:
        yield own


def test_they_start_where_no_service_is_named(claims, monkeypatch):
    monkeypatch.setattr(claims, "take", lambda host, port: True)
    found = solvers.settle({}, claims)
    assert found.argv == ("manage.py", "serve_solvers", "--putt-port", "7071", "--plan-port", "7072")
    assert dict(found.env) == {
        "PUTT_SOLVER_URL": "http://127.0.0.1:7071",
        "TEE_TO_GREEN_URL": "http://127.0.0.1:7072",
    }
    assert found.notices == ()


def test_a_service_of_the_users_own_is_left_alone(claims):
    found = solvers.settle({"PUTT_SOLVER_URL": "http://dll.example"}, claims)
    assert [name for name, _ in found.env] == ["TEE_TO_GREEN_URL"]


def test_they_do_not_start_where_both_are_named(claims):
    assert solvers.settle({"PUTT_SOLVER_URL": "http://a", "TEE_TO_GREEN_URL": "http://b"}, claims) == solvers.Solvers()


def test_a_taken_port_is_replaced_and_said(monkeypatch, taken, claims):
    monkeypatch.setattr(
        solvers, "PORTS", {"PUTT_SOLVER_URL": ("--putt-port", taken), "TEE_TO_GREEN_URL": ("--plan-port", taken)}
    )
    found = solvers.settle({}, claims)
    chosen = [int(found.argv[3]), int(found.argv[5])]
    assert taken < chosen[0] < chosen[1]
    assert found.notices[0] == f"port: {taken} is taken, using {chosen[0]}"


def test_they_leave_the_web_process_the_port_the_user_named(monkeypatch, claims):
    """OPS-6: nobody listens there yet when the solvers' ports are chosen."""
    named = ports.any_free()
    monkeypatch.setattr(solvers, "PORTS", {name: (option, named) for name, (option, _) in solvers.PORTS.items()})
    assert environment.address({"SERVER_ADDR": f"127.0.0.1:{named}"}, claims)[1] == named
    assert named not in (int(word) for word in solvers.settle({}, claims).argv if word.isdigit())
