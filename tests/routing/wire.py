"""A way to a real API that can be cut: plain HTTP on loopback towards Baton, TLS as KUBECONFIG says from here on."""

import select
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit

import yaml
from lightkube.config.client_adapter import verify_cluster
from lightkube.config.kubeconfig import KubeConfig
from lightkube.config.models import User

CHUNK = 65536


class Wire:
    """Stands between a client and the server of a kubeconfig; bytes pass unchanged."""

    def __init__(self, kubeconfig: str) -> None:
        self._place = Path(kubeconfig)
        config = KubeConfig.from_file(kubeconfig).get()
        assert config is not None
        server = urlsplit(config.cluster.server)
        self._far = (server.hostname or "", server.port or (443 if server.scheme == "https" else 80))
        self._tls = verify_cluster(config.cluster, config.user or User(), config.abs_file)
        self._is_plain = server.scheme == "http"  # as `kubectl proxy` is
        self._server: ThreadingTCPServer | None = None
        self._open: set[socket.socket] = set()
        self._port = 0
        self.start()

    def start(self) -> None:
        """Let through, on the same port as before."""
        handler = type("BoundEnd", (End,), {"wire": self})
        ThreadingTCPServer.allow_reuse_address = ThreadingTCPServer.daemon_threads = True
        self._server = ThreadingTCPServer(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse, and break what is connected."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def kubeconfig(self, directory: Path) -> str:
        """The same user by way of this wire, which shows their certificate for them."""
        config = yaml.safe_load(self._place.read_text())
        context = next(one for one in config["contexts"] if one["name"] == config["current-context"])["context"]
        user = next(one for one in config["users"] if one["name"] == context["user"])
        user["user"] = {name: value for name, value in user["user"].items() if not name.startswith("client-")}
        config["clusters"] = [{"name": context["cluster"], "cluster": {"server": f"http://127.0.0.1:{self._port}"}}]
        place = directory / "wire-kubeconfig"
        place.write_text(yaml.safe_dump(config))
        place.chmod(0o600)
        return str(place)

    def carry(self, near: socket.socket) -> None:
        """One connection, until either end closes it."""
        far = socket.create_connection(self._far, 5)
        with far if self._is_plain else self._tls.wrap_socket(far, server_hostname=self._far[0]) as far:
            far.settimeout(None)
            self._open |= {near, far}
            try:
                while all(_passed_on(source, target) for source, target in _readable(near, far)):
                    pass
            finally:
                self._open -= {near, far}


class End(BaseRequestHandler):
    """The near end."""

    wire: Wire

    def handle(self) -> None:
        with suppress(OSError):
            self.wire.carry(self.request)


def _readable(near: socket.socket, far: socket.socket) -> list[tuple[socket.socket, socket.socket]]:
    """The directions in which something can be passed on; waits for one."""
    waits = isinstance(far, ssl.SSLSocket) and far.pending()  # read already, so that select would not tell
    ready = {far} if waits else set(select.select([near, far], [], [])[0])
    return [(source, target) for source, target in ((near, far), (far, near)) if source in ready]


def _passed_on(source: socket.socket, target: socket.socket) -> bool:
    """Whether there was more than the end."""
    data = source.recv(CHUNK)
    target.sendall(data)
    return bool(data)
