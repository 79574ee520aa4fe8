"""What the children are told (OPS-10, OPS-63)."""

import os
from pathlib import Path

import pytest

from launcher import environment
from launcher.errors import MissingNeed, Refusal


@pytest.fixture(autouse=True)
def empty_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process environment without any setting."""
    for name in os.environ:
        monkeypatch.delenv(name)


def test_given_lets_the_process_win_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OPS-63: the process, then ENV_FILE; an empty value is none."""
    (tmp_path / "env").write_text("REDIS_URL=redis://file/0\nLOG_LEVEL=DEBUG\nDATABASE_URL=\n")
    monkeypatch.setenv("ENV_FILE", str(tmp_path / "env"))
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    monkeypatch.setenv("DEBUG", "")

    said = environment.given()

    assert said["REDIS_URL"] == "redis://file/0"
    assert said["LOG_LEVEL"] == "ERROR"
    assert {"DEBUG", "DATABASE_URL"}.isdisjoint(said)


def test_given_names_a_missing_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """OPS-1: one sentence, exit 3."""
    monkeypatch.setenv("ENV_FILE", "/nowhere/env")

    with pytest.raises(MissingNeed, match="/nowhere/env"):
        environment.given()


def test_of_children_keeps_the_users_secrets() -> None:
    """OPS-63: var/secrets.env comes last."""
    env = environment.of_children({"SECRET_KEY": "mine"}, {"SECRET_KEY": "kept", "JWT_SECRET": "kept"}, "127.0.0.1", 80)

    assert (env["SECRET_KEY"], env["JWT_SECRET"]) == ("mine", "kept")
    assert env["PUBLIC_URL"] == "http://localhost:80"


def test_check_open_refuses_other_machines() -> None:
    """OPS-10: ./run --open is for loopback only."""
    environment.check_open({})
    with pytest.raises(Refusal, match=":8080"):
        environment.check_open({"SERVER_ADDR": ":8080"})
