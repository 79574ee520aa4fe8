"""routing/agent.py, the reference pod, against POD-44 to POD-48 and POD-54."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from routing import agent
from tests.processes import free_port
from tests.routing.world import until

SESSION = "sess_0123456789abcdef"


class Running:
    """The agent as a program, as a worker starts it."""

    def __init__(self, directory: Path, **env: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        given = {"SESSION_UUID": SESSION, "USER_POD_PORT": str(port), "USER_POD_HOST": "127.0.0.1", "POD_TOKEN": "t0"}
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", agent.__file__], cwd=directory, env={**given, **env}, stdout=subprocess.PIPE
        )
        until(self.is_ready)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ready").status_code == 200
        except httpx.TransportError:
            return False

    def chat(self, text: Any = "Hello", message_id: str = "m1", **headers: str) -> httpx.Response:
        body = {"message": text, "message_id": message_id, "session_id": SESSION, "seq": 1, "attempt": 1, "new": True}
        return httpx.post(f"{self.url}/chat", json=body, headers={"X-Pod-Token": "t0", **headers}, timeout=30)

    def stop(self) -> int:
        self.process.terminate()
        code = self.process.wait(25)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    found = Running(tmp_path)
    yield found
    if found.process.poll() is None:
        found.stop()


def test_agent_echoes_and_says_so(running: Running) -> None:
    """POD-54: honest without a model."""
    answer = running.chat()
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json() == {"reply": "Echo (no language model is configured): Hello", "mode": "echo"}
    assert httpx.get(f"{running.url}/ready").json() == {"session_id": SESSION}


def test_agent_refuses_what_it_does_not_know(running: Running) -> None:
    """POD-45: 401 without its token; 4xx for what no repetition mends."""
    assert running.chat(**{"X-Pod-Token": "t1"}).status_code == 401
    assert running.chat(7).status_code == 400
    assert httpx.post(f"{running.url}/chat", content=b"{", headers={"X-Pod-Token": "t0"}).status_code == 400
    assert httpx.post(f"{running.url}/other", content=b"{}", headers={"X-Pod-Token": "t0"}).status_code == 404
    assert httpx.get(f"{running.url}/chat").status_code == 404


def test_agent_repeats_the_answer_to_a_message_it_knows(running: Running, tmp_path: Path) -> None:
    """POD-48, also after it slept: the history is on disk, once."""
    first = running.chat("one").json()
    assert running.chat("another text").json() == first
    running.stop()
    again = Running(tmp_path)
    assert again.chat("yet another").json() == first
    again.stop()
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 1


def test_agent_finishes_its_chat_before_it_ends(tmp_path: Path) -> None:
    """POD-48: SIGTERM, and the answer still comes; exit 0, without delay for having been told twice."""
    with Model(wait_s=0.3) as model:
        found = Running(tmp_path, LLM_BASE_URL=model.url)
        answers: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: answers.append(found.chat()))
        asking.start()
        until(lambda: model.asked)
        os.kill(found.process.pid, signal.SIGTERM)
        until(lambda: httpx.get(f"{found.url}/ready").status_code == 503)
        asking.join()
        assert found.stop() == 0
    assert answers[0].json()["reply"] == "I am a model."


def test_agent_asks_the_model_with_what_was_said(tmp_path: Path) -> None:
    """POD-54: the last 20 turns, the key, the answer with its model."""
    with Model() as model:
        found = Running(tmp_path, LLM_BASE_URL=model.url, LLM_MODEL="m", LLM_API_KEY="s3cret")
        for number in range(22):
            answer = found.chat(f"t{number}", f"m{number}")
        found.stop()
    assert answer.json() == {"reply": "I am a model.", "mode": "llm", "model": "m-1"}
    asked = model.asked[-1]
    assert (asked["path"], asked["authorization"], asked["body"]["model"]) == (
        "/v1/chat/completions", "Bearer s3cret", "m",
    )  # fmt: skip
    said = [one["content"] for one in asked["body"]["messages"] if one["role"] == "user"]
    assert said == [f"t{number}" for number in range(2, 22)]


def test_agent_never_invents_an_answer(tmp_path: Path) -> None:
    """POD-54: a failed call is 502 and is not remembered."""
    with Model() as model:
        found = Running(tmp_path, LLM_BASE_URL=model.url)
        for model.answer in ((500, b"{}"), (200, b"no JSON"), (200, b'{"choices":[]}'), (200, b'{"choices":7}')):
            assert found.chat().status_code == 502
        model.answer = Model.GOOD
        assert found.chat().status_code == 200
        assert found.stop() == 0


def test_history_survives_a_line_cut_short(tmp_path: Path) -> None:
    """POD-54: a stop may cut the last line."""
    place = tmp_path / "history.jsonl"
    kept = agent.History(place)
    kept.keep("m1", "Hello", {"reply": "a"})
    place.write_text(place.read_text() + '{"message_id": "m2", "mess')
    assert agent.History(place).latest(20) == [("Hello", "a")]


def test_history_lives_in_memory_where_nothing_can_be_written(tmp_path: Path) -> None:
    """POD-54."""
    kept = agent.History(tmp_path / "missing" / "history.jsonl")
    kept.keep("m1", "Hello", {"reply": "a"})
    assert kept.answer_to("m1") == {"reply": "a"}


def test_history_remembers_the_last_hundred(tmp_path: Path) -> None:
    """POD-48."""
    kept = agent.History(None)
    for number in range(101):
        kept.keep(f"m{number}", "x", {"reply": str(number)})
    assert kept.answer_to("m0") is None
    assert kept.answer_to("m1") == {"reply": "1"}


class Model:
    """An endpoint that speaks chat completions."""

    GOOD = (200, json.dumps({"model": "m-1", "choices": [{"message": {"content": "I am a model."}}]}).encode())

    def __init__(self, *, wait_s: float = 0.0, answer: tuple[int, bytes] = GOOD) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer, self.wait_s = answer, wait_s
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_ModelHandler,), {"model": self}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1/"

    def __enter__(self) -> "Model":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _ModelHandler(BaseHTTPRequestHandler):
    model: Model

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = {"path": self.path, "authorization": self.headers.get("Authorization"), "body": body}
        self.model.asked.append(asked)
        time.sleep(self.model.wait_s)
        status, data = self.model.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass
