"""The reference pod (POD-44 to POD-48, POD-54): answers one session's chat over HTTP, with the standard library alone.

Run as a program it reads its environment, remembers its turns in `history.jsonl` of its working directory, and answers
with a language model when LLM_BASE_URL names one. Without one it says that it only echoes.
"""

import hmac
import json
import os
import signal
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Answer = dict[str, Any]
Answering = Callable[[str, "History"], Answer]
Turn = tuple[str, str]  # what the person said, what the pod replied

MOST_BODY_BYTES = 1_048_576
REMEMBERED = 100  # POD-48: answers repeated instead of worked out again
TURNS_SENT = 20  # POD-54
LAST_CHAT_S = 19.0  # POD-48: out within 20 s of SIGTERM


class ModelFailed(Exception):
    """The language model gave no usable answer; the message is worth another try."""


class History:
    """The turns of the session by message id, kept in a file where there is a writable directory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._turns: OrderedDict[str, tuple[str, Answer]] = OrderedDict()
        if path is not None and path.exists():
            for line in path.read_text("utf-8", errors="replace").splitlines():
                self._recall(line)

    def answer_to(self, message_id: str) -> Answer | None:
        """The answer that was given to this very message, if it is remembered."""
        found = self._turns.get(message_id)
        return found[1] if found else None

    def latest(self, count: int) -> list[Turn]:
        """The last `count` turns, oldest first."""
        return [(said, str(answer.get("reply", ""))) for said, answer in list(self._turns.values())[-count:]]

    def keep(self, message_id: str, said: str, answer: Answer) -> None:
        """Remember one turn; a directory that turns out read-only leaves it in memory."""
        self._remember(message_id, said, answer)
        if self._path is None:
            return
        line = json.dumps({"message_id": message_id, "message": said, "answer": answer})
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError:
            self._path = None

    def _recall(self, line: str) -> None:
        try:
            turn = json.loads(line)
            self._remember(turn["message_id"], turn["message"], turn["answer"])
        except (ValueError, KeyError, TypeError):
            return  # a line that a stop cut short

    def _remember(self, message_id: str, said: str, answer: Answer) -> None:
        self._turns[message_id] = (said, answer)
        while len(self._turns) > REMEMBERED:
            self._turns.popitem(last=False)


def echo(said: str, history: History) -> Answer:
    """The honest answer of a pod without a language model."""
    return {"reply": f"Echo (no language model is configured): {said}", "mode": "echo"}


def language_model(base_url: str, *, model: str = "", api_key: str = "", timeout_s: float = 45) -> Answering:
    """Answers by any endpoint that speaks the chat completions of OpenAI. The answers raise ModelFailed."""
    import urllib.request  # only a pod with a model pays for these

    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {api_key}"} if api_key else {})}

    def ask(said: str, history: History) -> Answer:
        body = {"messages": _conversation(history.latest(TURNS_SENT - 1), said), **({"model": model} if model else {})}
        request = urllib.request.Request(
            f"{base_url.rstrip('/')}/chat/completions", data=json.dumps(body).encode(), headers=headers
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as response:
                found = json.load(response)
            reply = found["choices"][0]["message"]["content"]
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise ModelFailed(type(error).__name__) from error
        if not isinstance(reply, str):
            raise ModelFailed("no text")
        return {"reply": reply, "mode": "llm", "model": str(found.get("model") or model)}

    return ask


def _conversation(turns: list[Turn], said: str) -> list[dict[str, str]]:
    messages = []
    for person, pod in turns:
        messages += [{"role": "user", "content": person}, {"role": "assistant", "content": pod}]
    return [*messages, {"role": "user", "content": said}]


class Agent(ThreadingHTTPServer):
    """The server; one chat at a time, in the order of arrival."""

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        *,
        session_id: str,
        token: str = "",
        answer: Answering = echo,
        history: History,
    ) -> None:
        super().__init__(address, Handler)
        self.session_id, self.token = session_id, token
        self.stopping = False
        self._answer, self._history, self._working = answer, history, threading.Lock()

    def chat(self, message_id: str, said: str, send: Callable[[int, Answer], None]) -> None:
        """Answer one message and send the answer; a message that was answered before gets the same one again."""
        with self._working:
            answer = self._history.answer_to(message_id)
            if answer is None:
                try:
                    answer = self._answer(said, self._history)
                except ModelFailed as error:
                    send(502, {"error": f"the language model failed: {error}"})
                    return
                self._history.keep(message_id, said, answer)
            send(200, answer)

    def stop(self) -> None:
        """Take no new chat, finish the one at work, return from serve_forever; asked twice it does so once."""
        if self.stopping:
            return
        self.stopping = True
        self._working.acquire(timeout=LAST_CHAT_S)
        self.shutdown()


class Handler(BaseHTTPRequestHandler):
    """One connection: `GET /ready` and `POST /chat`."""

    server: Agent
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave in one segment, so that Nagle and delayed ACK never meet

    def do_GET(self) -> None:
        """POD-47."""
        if self.path != "/ready":
            self._send(404, {"error": "not found"})
            return
        self._send(503 if self.server.stopping else 200, {"session_id": self.server.session_id})

    def do_POST(self) -> None:
        """POD-45, POD-46."""
        body = self._body()
        if body is None:
            self.close_connection = True
            self._send(413, {"error": "the body is too large or has no length"})
        elif self.path != "/chat":
            self._send(404, {"error": "not found"})
        elif not hmac.compare_digest(self.headers.get("X-Pod-Token", "").encode(), self.server.token.encode()):
            self._send(401, {"error": "X-Pod-Token is missing or wrong"})
        elif self.server.stopping:
            self._send(503, {"error": "stopping"})
        else:
            self._chat(body)

    def _chat(self, body: bytes) -> None:
        try:
            members = json.loads(body)
            message_id, said = str(members["message_id"]), members["message"]
        except (ValueError, KeyError, TypeError):
            members = said = None
        if not isinstance(said, str):
            self._send(400, {"error": "the body needs message_id and message"})
            return
        self.server.chat(message_id, said, self._send)

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MOST_BODY_BYTES:
            return None
        return self.rfile.read(int(length))

    def _send(self, status: int, members: Answer) -> None:
        data = json.dumps(members).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def version_string(self) -> str:
        """What the Server header says."""
        return "baton-agent"

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: the log is for what goes wrong."""


def writable_history(directory: Path) -> Path | None:
    """Where the history lives, or None where nothing can be written."""
    return directory / "history.jsonl" if os.access(directory, os.W_OK) else None


def main(env: Mapping[str, str] = os.environ) -> None:
    """Serve until SIGTERM."""
    answer: Answering = echo
    if base_url := env.get("LLM_BASE_URL"):
        answer = language_model(
            base_url,
            model=env.get("LLM_MODEL", ""),
            api_key=env.get("LLM_API_KEY", ""),
            timeout_s=float(env.get("LLM_TIMEOUT_S") or 45),
        )
    agent = Agent(
        (env.get("USER_POD_HOST") or "0.0.0.0", int(env.get("USER_POD_PORT") or 1111)),
        session_id=env.get("SESSION_UUID", ""),
        token=env.get("POD_TOKEN", ""),
        answer=answer,
        history=History(writable_history(Path.cwd())),
    )
    signal.signal(signal.SIGTERM, lambda number, frame: threading.Thread(target=agent.stop).start())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    agent.serve_forever(poll_interval=0.1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # told again on its way out, it would die of the default


if __name__ == "__main__":
    main()
