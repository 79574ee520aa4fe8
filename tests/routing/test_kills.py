"""The promise of POD-34: once 200 or 202 was sent, a message survives the death of any one process and is answered.

Whoever is killed is a real process on the test's database, killed with SIGKILL at a named point or at random; whoever
only stands by works in the test's own process.
"""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from django.conf import settings

from routing.models import ChatMessage, Pod, Worker
from tests.factories import make_token
from tests.processes import RedisServer, WebProcess, same_stores
from tests.routing.standin_pod import StandInPods
from tests.routing.world import WebThread, WorkerThread, until

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE_S = 30.0

Web = WebProcess | WebThread


class WorkerProcess:
    """`manage.py run_pods`."""

    def __init__(self, env: dict[str, str]) -> None:
        command = [sys.executable, "manage.py", "run_pods"]
        self.process = subprocess.Popen(
            command, cwd=settings.BASE_DIR, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
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
    """The stand-in pods, and the settings all processes share."""

    def __init__(self, directory: Path) -> None:
        self.pods = StandInPods(directory / "control")
        program = Path(__file__).with_name("standin_pod.py")
        settings.LOCAL_POD_COMMAND = f"{sys.executable} -I -S {program} {self.pods.control}"
        settings.POD_CHAT_TIMEOUT_S = 5
        limits = [f"RATE_POD_{name}" for name in ("CREATE", "WAKE", "CHAT", "DELETE", "SLEEP", "READ")]
        for limit in limits:
            setattr(settings, limit, "")
        shared = {"LOCAL_POD_COMMAND": settings.LOCAL_POD_COMMAND, "POD_CHAT_TIMEOUT_S": "5"}
        self.env = {**same_stores(), **shared, **dict.fromkeys(limits, "")}
        self.headers = {"Authorization": f"Bearer {make_token('u1')}"}

    def web(self) -> WebProcess:
        """A web process, not started."""
        return WebProcess(**self.env)

    def dying(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Workers or web processes, one after the other, each killed at its fault point."""
        command = [sys.executable, "-m", "tests.routing.dying", *arguments]
        return subprocess.Popen(command, cwd=settings.BASE_DIR, env={**os.environ, **self.env})

    def created(self, web: Web) -> str:
        """A session with a pod."""
        made = httpx.post(f"{web.url}/session/create", json={"user_id": "u1"}, headers=self.headers, timeout=30)
        return str(made.json()["uuid"])

    def chat(self, web: Web, session_id: str, text: str, key: str) -> httpx.Response:
        """One chat under a key."""
        headers = {**self.headers, "Idempotency-Key": key}
        return httpx.post(f"{web.url}/session/{session_id}/chat", json={"message": text}, headers=headers, timeout=30)


@pytest.fixture
def stage(tmp_path: Path, settings: Any) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def web(stage: Stage) -> Iterator[WebThread]:
    """A web server that nobody kills."""
    thread = WebThread()
    yield thread
    thread.stop()


@pytest.fixture
def workers(stage: Stage) -> Iterator[Any]:
    """Start workers; whichever still runs at the end is killed."""
    started: list[WorkerProcess] = []

    def start() -> WorkerProcess:
        started.append(WorkerProcess(stage.env))
        return started[-1]

    yield start
    for worker in started:
        if worker.process.poll() is None:
            worker.kill()


@pytest.fixture
def own_redis(settings: Any, tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, which all that works in this process uses."""
    server = RedisServer(tmp_path)
    settings.REDIS_URL = server.url
    yield server
    server.kill()
    server.client.close()


@contextlib.contextmanager
def working() -> Iterator[None]:
    """While a worker that nobody kills works."""
    worker = WorkerThread()
    try:
        yield
    finally:
        worker.stop()


def test_worker_killed_at_each_step_loses_nothing(stage: Stage, web: WebThread) -> None:
    """POD-34, POD-35, POD-50: after its claim, after the pod's answer, after the commit of the outcome."""
    session_id = stage.created(web)
    accepted = stage.chat(web, session_id, "Hello", "k1").json()
    with stage.dying("worker", "chat.claimed", "chat.before_settle", "chat.settled") as dying:
        assert dying.wait(PATIENCE_S) == 0
    assert ChatMessage.objects.get().status == "answered"
    with working():
        assert stage.chat(web, session_id, "again", "k2").status_code in (200, 202)
        until(lambda: not ChatMessage.objects.pending().exists(), within_s=PATIENCE_S)

    calls = stage.pods.calls(session_id)
    assert [call["body"]["message_id"] for call in calls[:2]] == [accepted["message_id"]] * 2
    assert [call["body"]["attempt"] for call in calls[:2]] == [2, 3]  # the first attempt died before its call
    assert [call["body"]["message"] for call in calls] == ["Hello", "Hello", "again"]


def test_worker_killed_takes_its_pods_along(stage: Stage, web: WebThread, workers: Any) -> None:
    """POD-50: the parent-death signal; the restarted worker starts the pod anew for what is pending."""
    session_id = stage.created(web)
    stage.pods.script(session_id, {"wait_s": 20})
    worker = workers()
    stage.chat(web, session_id, "Hello", "k1")
    until(lambda: stage.pods.calls(session_id), within_s=PATIENCE_S)
    pid = Pod.objects.get().pid
    worker.kill()
    until(lambda: not Path(f"/proc/{pid}/cwd").exists())
    with working():
        until(lambda: ChatMessage.objects.get().status == "answered", within_s=PATIENCE_S)
    assert len(stage.pods.calls(session_id)) == 2
    assert ChatMessage.objects.get().attempts == 2


def test_worker_stopped_gives_everything_back(stage: Stage, web: WebThread, workers: Any) -> None:
    """POD-53: exit 0, the call at work finished, no process and no row left."""
    session_id = stage.created(web)
    stage.pods.script(session_id, {"wait_s": 0.5})
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


def test_web_killed_around_the_commit_accepts_once(stage: Stage, web: WebThread) -> None:
    """POD-18, POD-20: killed before the commit nothing is there; after it the key finds the message, called once."""
    session_id = stage.created(web)
    killed = stage.web()
    stage.env["SERVER_ADDR"] = killed.env["SERVER_ADDR"]
    with stage.dying("web", "chat.before_commit", "chat.committed") as dying:
        for rows in (0, 1):
            until(lambda: _listens(killed.port), within_s=PATIENCE_S)
            with pytest.raises(httpx.TransportError):
                stage.chat(killed, session_id, "Hello", "k1")
            assert ChatMessage.objects.count() == rows
        assert dying.wait(PATIENCE_S) == 0
    with working():
        replayed = stage.chat(web, session_id, "Hello", "k1")
        until(lambda: ChatMessage.objects.get().status == "answered", within_s=PATIENCE_S)
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert [call["body"]["message_id"] for call in stage.pods.calls(session_id)] == [replayed.json()["message_id"]]


def test_redis_killed_loses_nothing(stage: Stage, web: WebThread, own_redis: RedisServer) -> None:
    """POD-9, POD-34, POD-76 row 11: what was accepted is answered without Redis; then 503, and 200 for what is read."""
    with working():
        session_id = stage.created(web)
        stage.pods.script(session_id, {"wait_s": 0.5})
        with ThreadPoolExecutor(2) as pool:
            pool.submit(stage.chat, web, session_id, "Hello", "k1")
            until(lambda: stage.pods.calls(session_id))
            stage.chat(web, session_id, "behind it", "k2")
            own_redis.kill()
        until(lambda: not ChatMessage.objects.pending().exists(), within_s=PATIENCE_S)
    refused = stage.chat(web, session_id, "too late", "k3")
    created = httpx.post(f"{web.url}/session/create", json={"user_id": "u1"}, headers=stage.headers)
    read = httpx.get(f"{web.url}/session/{session_id}/status", headers=stage.headers)
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


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
