"""The promise of POD-34: once 200 or 202 was sent, a message survives the death of any one process and is answered.

Real processes on the test's database, killed with SIGKILL at named points or at random.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from django.conf import settings

from launcher import redis as embedded
from routing.models import ChatMessage, Pod, Worker
from tests.factories import make_token
from tests.processes import WebProcess, free_port, same_stores
from tests.routing.standin_pod import StandInPods
from tests.routing.world import until

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE_S = 30.0


class WorkerProcess:
    """`manage.py run_pods`."""

    def __init__(self, env: dict[str, str], *, fault: str = "") -> None:
        command = [sys.executable, "manage.py", "run_pods"]
        whole = {**os.environ, **env, "BATON_FAULT": fault, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, cwd=settings.BASE_DIR, env=whole, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def kill(self) -> None:
        """SIGKILL, and gone."""
        self.process.kill()
        self.gone()

    def gone(self) -> int:
        """Its exit code, once it is gone."""
        code = self.process.wait(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.gone()


class Stage:
    """The stand-in pods and the environment all processes share."""

    def __init__(self, directory: Path) -> None:
        self.pods = StandInPods(directory / "control")
        program = Path(__file__).with_name("standin_pod.py")
        self.env = {
            **same_stores(),
            "LOCAL_POD_COMMAND": f"{sys.executable} -I -S {program} {self.pods.control}",
            "POD_CHAT_TIMEOUT_S": "5",
            **{f"RATE_POD_{name}": "9999/s" for name in ("CREATE", "WAKE", "CHAT", "DELETE", "SLEEP", "READ")},
        }
        self.headers = {"Authorization": f"Bearer {make_token('u1')}"}

    def web(self, fault: str = "") -> WebProcess:
        """A web process, not started."""
        return WebProcess(**self.env, BATON_FAULT=fault)

    def created(self, web: WebProcess) -> str:
        """A session with a pod."""
        return str(web.post("/session/create", {"user_id": "u1"}, **self.headers).json()["uuid"])

    def chat(self, web: WebProcess, session_id: str, text: str, key: str) -> httpx.Response:
        """One chat under a key."""
        return web.post(f"/session/{session_id}/chat", {"message": text}, **self.headers, **{"Idempotency-Key": key})


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def workers(stage: Stage) -> Iterator[Any]:
    """Start workers; whichever still runs at the end is killed."""
    started: list[WorkerProcess] = []

    def start(fault: str = "", **env: str) -> WorkerProcess:
        started.append(WorkerProcess({**stage.env, **env}, fault=fault))
        return started[-1]

    yield start
    for worker in started:
        if worker.process.poll() is None:
            worker.kill()


def test_worker_killed_at_each_step_loses_nothing(stage: Stage, workers: Any) -> None:
    """POD-34, POD-35, POD-50: after its claim, after the pod's answer, after the commit of the outcome."""
    with stage.web() as web:
        session_id = stage.created(web)
        accepted = stage.chat(web, session_id, "Hello", "k1").json()
        for point in ("chat.claimed", "chat.before_settle", "chat.settled"):
            assert workers(point).gone() == -signal.SIGKILL
        assert ChatMessage.objects.get().status == "answered"
        workers()
        assert stage.chat(web, session_id, "again", "k2").status_code in (200, 202)
        until(lambda: not ChatMessage.objects.pending().exists(), within_s=PATIENCE_S)

    calls = stage.pods.calls(session_id)
    assert [call["body"]["message_id"] for call in calls[:2]] == [accepted["message_id"]] * 2
    assert [call["body"]["attempt"] for call in calls[:2]] == [2, 3]  # the first attempt died before its call
    assert [call["body"]["message"] for call in calls] == ["Hello", "Hello", "again"]


def test_worker_killed_takes_its_pods_along(stage: Stage, workers: Any) -> None:
    """POD-50: the parent-death signal; the restarted worker starts the pod anew for what is pending."""
    with stage.web() as web:
        session_id = stage.created(web)
        stage.pods.script(session_id, {"wait_s": 20})
        worker = workers()
        stage.chat(web, session_id, "Hello", "k1")
        until(lambda: stage.pods.calls(session_id), within_s=PATIENCE_S)
        pid = Pod.objects.get().pid
        worker.kill()
        until(lambda: not Path(f"/proc/{pid}/cwd").exists())
        workers()
        until(lambda: ChatMessage.objects.get().status == "answered", within_s=PATIENCE_S)
    assert len(stage.pods.calls(session_id)) == 2
    assert ChatMessage.objects.get().attempts == 2


def test_worker_stopped_gives_everything_back(stage: Stage, workers: Any) -> None:
    """POD-53: exit 0, the call at work finished, no process and no row left."""
    with stage.web() as web:
        session_id = stage.created(web)
        stage.pods.script(session_id, {"wait_s": 1})
        worker = workers()
        stage.chat(web, session_id, "Hello", "k1")
        until(lambda: stage.pods.calls(session_id), within_s=PATIENCE_S)
        pid = Pod.objects.get().pid
        assert worker.stop() == 0
    pod = Pod.objects.get()
    assert (pod.worker, pod.pid) == (None, None)
    assert pod.state in ("sleeping", "waking")
    assert not Path(f"/proc/{pid}/cwd").exists()
    assert not Worker.objects.exists()
    assert not ChatMessage.objects.filter(status="delivering").exists()


def test_web_killed_around_the_commit_accepts_once(stage: Stage, workers: Any) -> None:
    """POD-18, POD-20: killed before the commit nothing is there; after it the key finds the message, called once."""
    with stage.web() as web:
        session_id = stage.created(web)
    for point, rows in (("chat.before_commit", 0), ("chat.committed", 1)):
        with stage.web(point) as web, pytest.raises(httpx.TransportError):
            stage.chat(web, session_id, "Hello", "k1")
        assert ChatMessage.objects.count() == rows
    workers()
    with stage.web() as web:
        replayed = stage.chat(web, session_id, "Hello", "k1")
        until(lambda: ChatMessage.objects.get().status == "answered", within_s=PATIENCE_S)
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert [call["body"]["message_id"] for call in stage.pods.calls(session_id)] == [replayed.json()["message_id"]]


def test_redis_killed_loses_nothing(stage: Stage, workers: Any, tmp_path: Path) -> None:
    """POD-9, POD-34, POD-76 row 11: what was accepted is answered without Redis; then 503, and 200 for what is read."""
    (tmp_path / "redis").mkdir()
    command = embedded.command(tmp_path / "redis", free_port())
    url = f"redis://127.0.0.1:{command.argv[command.argv.index('--port') + 1]}/0"
    server = subprocess.Popen(command.argv, cwd=command.cwd, stdout=subprocess.DEVNULL)
    stage.env["REDIS_URL"] = url
    try:
        with redis.Redis.from_url(url) as client:
            until(lambda: _answers(client))
        workers()
        with stage.web() as web:
            session_id = stage.created(web)
            stage.pods.script(session_id, {"wait_s": 1})
            stage.chat(web, session_id, "Hello", "k1")
            until(lambda: stage.pods.calls(session_id), within_s=PATIENCE_S)
            stage.chat(web, session_id, "behind it", "k2")
            server.kill()
            until(lambda: not ChatMessage.objects.pending().exists(), within_s=PATIENCE_S)
            refused = stage.chat(web, session_id, "too late", "k3")
            created = web.post("/session/create", {"user_id": "u1"}, **stage.headers)
            read = httpx.get(f"{web.url}/session/{session_id}/status", headers=stage.headers, timeout=10)
    finally:
        server.kill()
        server.wait()
    assert {(one.status_code, one.json()["code"]) for one in (refused, created)} == {(503, "REDIS_UNAVAILABLE")}
    assert refused.headers["Retry-After"] == "5"
    assert read.status_code == 200
    assert ChatMessage.objects.filter(status="answered").count() == 2


@pytest.mark.soak
def test_storm_of_kills_loses_nothing(stage: Stage, workers: Any) -> None:
    """POD-34: for a minute all die at random, Redis' data too; each accepted message is answered, in order."""
    dice, accepted = random.Random(76), set()
    storm = Storm(stage, workers, dice)
    session_ids = [stage.created(storm.web) for _ in range(4)]
    end, number = time.monotonic() + 60, 0
    try:
        while time.monotonic() < end:
            number += 1
            with contextlib.suppress(httpx.TransportError):
                answer = stage.chat(storm.web, dice.choice(session_ids), f"m{number}", f"k{number}")
                if answer.status_code in (200, 202):
                    accepted.add(answer.json()["message_id"])
            dice.choice([storm.kill_web, storm.kill_worker, storm.kill_pod, storm.empty_redis, *[len] * 12])(())
        until(lambda: not ChatMessage.objects.pending().exists(), within_s=120)
    finally:
        storm.web.__exit__(None, None, None)
    rows = {str(one.pk): one for one in ChatMessage.objects.all()}
    assert accepted <= rows.keys()
    assert {one.status for one in rows.values()} == {"answered"}
    for session_id in session_ids:
        handed = [call["body"]["seq"] for call in stage.pods.calls(session_id)]
        assert handed == sorted(handed)
        assert sorted(set(handed)) == list(range(1, len(set(handed)) + 1))


class Storm:
    """One web process and one worker, and what may befall them."""

    def __init__(self, stage: Stage, workers: Any, dice: random.Random) -> None:
        self._stage, self._workers, self._dice = stage, workers, dice
        self.web, self._worker = stage.web().start(), workers()

    def kill_web(self, _: object) -> None:
        self.web.__exit__(None, None, None)
        self.web = self._stage.web().start()

    def kill_worker(self, _: object) -> None:
        self._worker.kill()
        self._worker = self._workers()

    def kill_pod(self, _: object) -> None:
        pids = [pid for pid in Pod.objects.values_list("pid", flat=True) if pid is not None]
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._dice.choice(pids or [2**22]), signal.SIGKILL)

    def empty_redis(self, _: object) -> None:
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            client.flushdb()


def _answers(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
