"""A pod for tests that does what it is told: which answers it gives, how slowly, when it dies. Writes down every call.

Everything about session S lies in `<control>/S/`: `script.json` is a list of acts, one for each call of /chat; when it
is used up the pod echoes. `calls.jsonl` gets a line when a call begins and one when it ends. As a program it takes the
control directory as its argument and the rest from its environment, as any local pod.

    {"status": 500, "headers": {"Retry-After": "1"}}   {"body": "text"}   {"wait_s": 2}   {"die": "before" | "after"}
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_lock = threading.Lock()


class StandInPods:
    """The control directory seen from a test, and what a pod does with it."""

    def __init__(self, control: Path) -> None:
        self.control = control

    def script(self, session_id: str, *acts: dict[str, Any]) -> None:
        """What the next calls get."""
        self._place(session_id, "script.json").write_text(json.dumps(acts))

    def refuse_ready(self, session_id: str, refused: bool = True) -> None:
        """Let the pod say that it is not ready."""
        place = self._place(session_id, "not_ready")
        place.touch() if refused else place.unlink(missing_ok=True)

    def calls(self, session_id: str) -> list[dict[str, Any]]:
        """The calls that began, in order."""
        return [line for line in self.lines(session_id) if line["what"] == "begin"]

    def lines(self, session_id: str) -> list[dict[str, Any]]:
        """Every line of the calls."""
        place = self._place(session_id, "calls.jsonl")
        return [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []

    def is_ready(self, session_id: str) -> bool:
        """What /ready says."""
        return not self._place(session_id, "not_ready").exists()

    def next_act(self, session_id: str) -> dict[str, Any]:
        """Take one act from the script."""
        with _lock:
            place = self._place(session_id, "script.json")
            acts = json.loads(place.read_text()) if place.exists() else []
            if not acts:
                return {}
            place.write_text(json.dumps(acts[1:]))
            return dict(acts[0])

    def note(self, session_id: str, what: str, **members: Any) -> None:
        """Write one line, whole whatever happens next."""
        line = json.dumps({"what": what, "at": time.time(), **members}) + "\n"
        place = os.open(self._place(session_id, "calls.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(place, line.encode())
        os.close(place)

    def _place(self, session_id: str, name: str) -> Path:
        directory = self.control / session_id
        directory.mkdir(parents=True, exist_ok=True)
        return directory / name


class Handler(BaseHTTPRequestHandler):
    """`/ready` and `/chat`; a server for many sessions finds the session in `X-Session-Id`."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    pods: StandInPods
    token = ""
    session_id = ""

    def do_GET(self) -> None:
        self._send(200 if self.pods.is_ready(self.session_id) else 503, {"session_id": self.session_id})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        session_id = self.headers["X-Session-Id"]
        if self.headers.get("X-Pod-Token", "") != self.token:
            self._send(401, {})
            return
        self.pods.note(session_id, "begin", body=body, headers=dict(self.headers), path=self.path)
        act = self.pods.next_act(session_id)
        time.sleep(act.get("wait_s", 0))
        if act.get("die") == "before":
            self.die()
        self.pods.note(session_id, "end", message_id=body["message_id"])
        answer = act["body"] if "body" in act else {"reply": f"Echo: {body['message']}", "seq": body["seq"]}
        self._send(act.get("status", 200), answer, act.get("headers", {}))
        if act.get("die") == "after":
            self.wfile.flush()
            self.die()

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _send(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def main() -> None:
    """Be the pod of one session."""
    Handler.pods = StandInPods(Path(sys.argv[1]))
    Handler.session_id, Handler.token = os.environ["SESSION_UUID"], os.environ["POD_TOKEN"]
    Handler.pods.note(Handler.session_id, "start", pid=os.getpid(), env=sorted(os.environ), cwd=os.getcwd())
    address = (os.environ["USER_POD_HOST"], int(os.environ["USER_POD_PORT"]))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(address, Handler).serve_forever()


if __name__ == "__main__":
    main()
