"""A whole `./run` in a checkout of its own (OPS-5 to OPS-10, OPS-78 ff.)."""

import json
import os
import shlex
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.launcher.checkout import Checkout


@pytest.fixture(scope="module")
def block(checkout: Checkout) -> dict[str, str]:
    """What the first start printed, by the word before the colon."""
    lines = checkout.start()
    return dict(line.partition(": ")[::2] for line in lines)


def test_run_prints_its_block(block: dict[str, str]) -> None:
    """OPS-7: one item per line, stable words, in this order."""
    names = ["web", "admin", "docs", "demo", "postgres", "redis", "admin password", "try", "ready"]

    assert [name for name in block if name != "port"] == names
    assert block["postgres"].startswith("18.")
    assert len(block["admin password"]) == 20


def test_run_prints_a_curl_line_that_answers_201(block: dict[str, str]) -> None:
    """OPS-7: pasted as it is."""
    words = shlex.split(block["try"])  # a bare machine has no curl
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    request = urllib.request.Request(words[2], words[words.index("-d") + 1].encode(), headers)

    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 201


def test_run_writes_its_facts_without_secrets(checkout: Checkout, block: dict[str, str]) -> None:
    """OPS-7, OPS-5: run.json for everybody, keys for the owner."""
    facts = _facts(checkout)

    assert facts["web"] == block["web"]
    assert {"pid", "processes", "postgres", "redis", "started_at"} <= facts.keys()
    assert (checkout.var / "secrets.env").stat().st_mode & 0o777 == 0o600
    assert (checkout.var / "run.env.json").stat().st_mode & 0o777 == 0o600
    assert block["admin password"] not in (checkout.var / "run.json").read_text()


def test_run_refuses_a_second_start(checkout: Checkout, block: dict[str, str]) -> None:
    """OPS-5: exit 1, naming URL and pid of the first."""
    second = checkout.call()

    assert second.returncode == 1
    assert block["web"] in second.stderr
    assert str(_facts(checkout)["pid"]) in second.stderr


def test_run_refuses_a_reset_while_running(checkout: Checkout, block: dict[str, str]) -> None:
    """OPS-10: --reset stops nothing."""
    assert checkout.call("--reset", "--yes").returncode == 1
    assert (checkout.var / "secrets.env").exists()


def test_manage_joins_the_running_servers(checkout: Checkout, block: dict[str, str]) -> None:
    """OPS-10: the same database; the command's own exit code."""
    assert checkout.call("manage", "migrate", "--check").returncode == 0
    assert checkout.call("manage", "no_such_command").returncode == 1


def test_demo_plays_the_story_to_its_end(checkout: Checkout, block: dict[str, str]) -> None:
    """OPS-11: against the running processes; one object per line."""
    done = checkout.call("demo", "--json")
    told = [json.loads(line) for line in done.stdout.splitlines()]

    assert done.returncode == 0, done.stdout
    assert [step["step"] for step in told[:-1]] == list(range(1, len(told)))
    assert told[-1] == {"steps": len(told) - 1, "ok": True}


def test_run_starts_a_dead_process_again(checkout: Checkout, block: dict[str, str]) -> None:
    """OPS-6: after a second, under the same address."""
    before = _pid(checkout, "web")

    os.kill(before, signal.SIGKILL)

    assert _wait(lambda: _pid(checkout, "web") not in (0, before))
    assert _wait(lambda: _answers(block["web"]))


def test_run_starts_anew_after_sigkill(checkout: Checkout, block: dict[str, str]) -> None:
    """OPS-9: what a killed start left is found and ended; OPS-8: the password is shown only once."""
    left = _facts(checkout)["processes"]
    checkout.stop(signal.SIGKILL)

    lines = checkout.start()

    assert "admin password: unchanged (./run manage changepassword admin)" in lines
    assert not any(Path(f"/proc/{process['pid']}").exists() for process in left)


def test_run_ends_everything_on_sigterm(checkout: Checkout, block: dict[str, str]) -> None:
    """OPS-9: exit 0, no process, no run.json; what must survive survives."""
    assert checkout.stop(signal.SIGTERM) == 0
    assert checkout.processes() == []
    assert not (checkout.var / "run.json").exists()
    assert (checkout.var / "secrets.env").exists()


def test_manage_brings_its_own_servers(checkout: Checkout, block: dict[str, str]) -> None:
    """OPS-10: for its length, when nothing runs."""
    assert checkout.call("manage", "migrate", "--check").returncode == 0
    assert checkout.processes() == []


def test_reset_deletes_everything(checkout: Checkout, block: dict[str, str]) -> None:
    """OPS-10: not without being asked; then var/, data/ and logs/."""
    assert checkout.call("--reset").returncode == 1
    assert checkout.call("--reset", "--yes").returncode == 0
    assert not any((checkout.path / name).exists() for name in ("var", "data", "logs"))


def _facts(checkout: Checkout) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((checkout.var / "run.json").read_text())
    return facts


def _pid(checkout: Checkout, name: str) -> int:
    return next((process["pid"] for process in _facts(checkout)["processes"] if process["name"] == name), 0)


def _answers(web: str) -> bool:
    try:
        with urllib.request.urlopen(f"{web}/livez", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _wait(true: Any) -> bool:
    deadline = time.monotonic() + 30
    while not true() and time.monotonic() < deadline:
        time.sleep(0.1)
    return bool(true())
