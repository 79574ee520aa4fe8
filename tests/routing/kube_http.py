"""HTTP in front of the stand-in of Kubernetes."""

import json
import socket
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import yaml

TOKEN = "stand-in-token"

Object = dict[str, Any]


class KubeServer(ABC):
    """Answers with `handle`. Connections stay open, as a real server's do."""

    def __init__(self) -> None:
        self.port = 0
        self.connected: set[socket.socket] = set()
        self.in_between: tuple[int, str, bytes] | None = None  # what a proxy answers in the server's place
        self._server: ThreadingHTTPServer | None = None

    @abstractmethod
    def handle(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, Object]:
        """One request."""

    def start(self) -> Self:
        """Serve, on the same port as before."""
        handler = type("BoundHandler", (Handler,), {"kube": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Be unreachable; what is stored stays."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for one in list(self.connected):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def kubeconfig(self, directory: Path) -> str:
        """A KUBECONFIG that leads here."""
        place = directory / "kubeconfig"
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}
        user = {"name": "u", "user": {"token": TOKEN}}
        where = {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "default"}}
        place.write_text(
            yaml.safe_dump(
                {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "users": [user], "contexts": [where],
                 "current-context": "x"}
            )
        )  # fmt: skip
        return str(place)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    kube: KubeServer

    def setup(self) -> None:
        super().setup()
        self.kube.connected.add(self.connection)

    def finish(self) -> None:
        self.kube.connected.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, answer = self.kube.handle(self.command, self.path, headers, body)
        content_type, data = "application/json", json.dumps(answer).encode()
        if self.kube.in_between is not None:
            status, content_type, data = self.kube.in_between
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _serve

    def log_message(self, format: str, *args: Any) -> None:
        pass


def status_of(code: int, message: str) -> Object:
    """What the API says of what went wrong, or right."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "code": code, "message": message,
            "status": "Success" if code < 400 else "Failure"}  # fmt: skip
