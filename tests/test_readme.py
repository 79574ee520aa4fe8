"""What README shows is run: the tour in a shell, the socket client in Python, the scripts by name."""

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from tests.commands import run
from tests.factories import make_session, make_token
from tests.processes import WebProcess

pytestmark = pytest.mark.django_db(transaction=True)


def block(mark):
    """The one code block whose fence carries `mark`."""
    text = Path(settings.BASE_DIR, "README.md").read_text()
    (found,) = re.findall(rf"^```{mark}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return found


def test_the_tour_works_as_printed():
    script, replay = block("sh tour").rstrip().rsplit("\n", 1)
    assert replay == "./run manage replay_session $SESSION"
    if shutil.which("curl") is None:
        script = f'curl() {{ {sys.executable} {settings.BASE_DIR}/tests/curl.py "$@"; }}\n{script}'
    script = script.replace("$(./run manage issue_token demo-user)", make_token("demo-user"))
    with WebProcess() as web:
        script = script.replace("http://localhost:8080", web.url)
        ran = subprocess.run(
            ["bash", "-euc", script + '\necho; echo "$SESSION"'], capture_output=True, text=True, timeout=60
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
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
