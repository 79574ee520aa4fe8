"""What README shows is run: the tour in a shell, the socket client in Python, the scripts by name."""

import asyncio
import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings

from tests.commands import run
from tests.factories import make_session, make_token
from tests.processes import WebProcess, free_port

pytestmark = pytest.mark.django_db(transaction=True)


def block(mark):
    """The one code block whose fence carries `mark`."""
    text = Path(settings.BASE_DIR, "README.md").read_text()
    (found,) = re.findall(rf"^```{mark}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return found


def shell(script, web):
    """What a reader's shell prints for it, who may have no curl."""
    if shutil.which("curl") is None:
        script = f'curl() {{ {sys.executable} {settings.BASE_DIR}/tests/curl.py "$@"; }}\n{script}'
    script = script.replace("$(./run manage issue_token demo-user)", make_token("demo-user"))
    script = script.replace("http://localhost:8080", web.url)
    ran = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran


@pytest.fixture
def solvers():
    """Where the reference services of `./run` are, as settings of the web process."""
    ports = {"PUTT_SOLVER_URL": free_port(), "TEE_TO_GREEN_URL": free_port()}
    putt, plan = map(str, ports.values())
    words = [sys.executable, "manage.py", "serve_solvers", "--putt-port", putt, "--plan-port", plan]
    with subprocess.Popen(words, cwd=settings.BASE_DIR) as process:
        for port in ports.values():
            until_it_listens(port)
        yield {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        process.terminate()


def until_it_listens(port):
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    pytest.fail(f"nobody listens on {port}")


def test_the_golf_lines_work_as_printed(solvers):
    script = block("sh tour").partition("new_uuid()")[0] + block("sh golf")
    with WebProcess(**solvers) as web:
        ran = shell(script, web)
    advice = json.loads(ran.stdout)
    assert (advice["plan_type"], advice["warnings"]) == ("PUTT", [])
    assert "3.0 m, plays 3.8 m" in ran.stdout


def test_the_tour_works_as_printed():
    script, replay = block("sh tour").rstrip().rsplit("\n", 1)
    assert replay == "./run manage replay_session $SESSION"
    with WebProcess() as web:
        ran = shell(script + '\necho; echo "$SESSION"', web)
    assert '"code":"VERSION_CONFLICT"' in ran.stdout
    assert '"meditation_progress":80' in ran.stdout
    code, out = run("replay_session", ran.stdout.splitlines()[-1])
    assert (code, out[0].split()[0]) == (0, "ok")


def test_the_socket_client_works_as_printed():
    session = make_session("demo-user")
    names: dict = {}
    exec(block("python socket"), names)
    with WebProcess() as web:
        payload = asyncio.run(names["follow"](web.url, make_token("demo-user"), session.session_id))
    assert (payload["value"], payload["seq"]) == (85, 1)


@pytest.mark.parametrize("script", ["run", "test", "check"])
def test_the_scripts_it_names_exist_and_are_executable(script):
    assert f"./{script} " in Path(settings.BASE_DIR, "README.md").read_text()
    assert Path(settings.BASE_DIR, script).stat().st_mode & 0o111
