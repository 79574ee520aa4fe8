"""The pod half of Baton running in the test's own process: a web server, a worker, stand-in pods, perhaps a cluster."""

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from config.asgi import application
from routing import chat
from routing.models import Pod
from routing.pod import cluster_api, cluster_backend, local_backend, processes, reaper, supervisor, tending, workers
from routing.pod.supervisor import Supervisor
from tests.factories import make_token
from tests.processes import free_port
from tests.routing import real_cluster
from tests.routing.kube import Kube
from tests.routing.real_cluster import RealCluster
from tests.routing.standin_pod import Handler, StandInPods
from tests.routing.wire import Wire

PATIENCE_S = 30.0  # a kubelet may have to start a pod meanwhile

# The rules' own seconds, made small; a test that looks at one sets it itself.
QUICK: tuple[tuple[Any, str, Any], ...] = (
    (chat, "RETRY_AFTER_S", (0.05, 0.05, 0.05, 0.05)),
    (chat, "LEASE_MARGIN_S", 1),
    (cluster_backend, "LIST_ALL_S", 0.2),
    (cluster_backend, "LIST_RISING_S", 0.05),
    (local_backend, "RESTART_S", (0.05, 0.05, 0.05, 0.05)),
    (processes, "STOP_PATIENCE_S", 2.0),
    (reaper, "MARK_STAYS_S", 0.5),
    (supervisor, "LOOK_S", 0.2),
    (supervisor, "MEND_S", 0.2),
    (supervisor, "REAP_S", 0.2),
    (tending, "FAILED_RETRY_S", (0.2, 0.2, 0.2, 0.2)),
    (workers, "HEARTBEAT_S", 0.3),
    (workers, "STALE_AFTER_S", 2.0),
)


class World:
    """Everything of one test; `http` speaks as the person u1."""

    def __init__(self, driver: str, directory: Path, settings: Any, web: "WebThread") -> None:
        self.driver = driver
        self.pods = StandInPods(directory / "control")
        self.kube: Kube | RealCluster | None = None
        self._wire: Wire | None = None
        self._worker: WorkerThread | None = None
        self._pod_server: ThreadingHTTPServer | None = None
        headers = {"Authorization": f"Bearer {make_token('u1')}"}
        self.http = httpx.Client(base_url=web.url, headers=headers, timeout=30)
        if driver != "local":
            self._make_cluster(directory, settings)
        else:
            program = Path(__file__).with_name("standin_pod.py")
            settings.LOCAL_POD_COMMAND = f"{sys.executable} -I -S {program} {self.pods.control}"

    def _make_cluster(self, directory: Path, settings: Any) -> None:
        settings.POD_DRIVER, settings.USER_POD_IMAGE = "kubernetes", "registry.example/agent:1"
        if self.driver == "kubernetes":
            self.kube = Kube(redis_url=settings.REDIS_URL).start()
            settings.KUBECONFIG = self.kube.kubeconfig(directory)
        else:
            self.kube, settings.KUBECONFIG = RealCluster(), real_cluster.kubeconfig()
            settings.PODS_NAMESPACE, settings.USER_POD_IMAGE = self.kube.namespace, real_cluster.IMAGE
            if self.driver == "wire":
                self._wire = Wire(settings.KUBECONFIG)
                settings.KUBECONFIG = self._wire.kubeconfig(directory)
        self._pod_server = _pod_server(self.pods)
        settings.POD_URL_TEMPLATE = f"http://127.0.0.1:{self._pod_server.server_address[1]}/{{name}}"
        self.kube.run_controllers()
        cluster_api.close()

    def cut(self) -> None:
        """Let the cluster be out of Baton's reach."""
        cut = self._wire or self.kube
        assert isinstance(cut, Kube | Wire)
        cut.stop()

    def mend(self) -> None:
        """Let it be there again."""
        cut = self._wire or self.kube
        assert isinstance(cut, Kube | Wire)
        cut.start()

    def start_worker(self) -> None:
        """Let a worker work."""
        self._worker = WorkerThread()

    def stop_worker(self) -> None:
        """Let it give everything back."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def close(self) -> None:
        """End everything."""
        self.stop_worker()
        self.http.close()
        if self._pod_server is not None:
            self._pod_server.shutdown()
            self._pod_server.server_close()
        if self.kube is not None:
            self.kube.close()
        if self._wire is not None:
            self._wire.stop()
        cluster_api.close()

    def create(self, **over: Any) -> str:
        """A new session with a pod; its id."""
        answer = self.http.post("/session/create", json={"user_id": "u1", **over})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["uuid"])

    def chat(self, session_id: str, text: str = "Hello", **headers: str) -> httpx.Response:
        """One chat."""
        return self.http.post(f"/session/{session_id}/chat", json={"message": text}, headers=headers)

    def status(self, session_id: str) -> dict[str, Any]:
        """What status says."""
        answer = self.http.get(f"/session/{session_id}/status")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def messages(self, session_id: str, **query: Any) -> list[dict[str, Any]]:
        """What the poll shows."""
        answer = self.http.get(f"/session/{session_id}/messages", params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["messages"])

    def settled(self, session_id: str, count: int = 1) -> list[dict[str, Any]]:
        """The messages of a session, once `count` of them have their outcome."""

        def found() -> list[dict[str, Any]] | None:
            messages = sorted(self.messages(session_id, limit=200), key=lambda one: one["seq"])
            return messages if sum(one["settled_at"] is not None for one in messages) >= count else None

        return list(until(found))

    def awake(self, **over: Any) -> str:
        """A session whose pod runs."""
        session_id = self.create(**over)
        self.http.post(f"/session/{session_id}/wake")
        self.reaches(session_id, "running")
        return session_id

    def reaches(self, session_id: str, state: str) -> Pod:
        """The pod, once it is in `state`."""
        return until(lambda: Pod.objects.filter(session_id=session_id, state=state).first())

    def reasons(self, session_id: str) -> list[str]:
        """The changes of state so far, oldest first, as `to:reason`."""
        return [f"{one['to']}:{one['reason']}" for one in reversed(self.status(session_id)["transitions"])]


class WebThread:
    """uvicorn in a thread."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        config = uvicorn.Config(
            application, host="127.0.0.1", port=port, loop="asyncio", lifespan="off", log_config=None, ws="none",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until(lambda: self._server.started)

    def stop(self) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join(10)


class WorkerThread:
    """`run_pods` in a thread."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    async def _run(self) -> None:
        self._loop, self._supervisor = asyncio.get_running_loop(), Supervisor()
        await self._supervisor.run(ready=self._ready.set)

    def stop(self) -> None:
        """End it in order."""
        self._loop.call_soon_threadsafe(self._supervisor.stop)
        self._thread.join(30)
        assert not self._thread.is_alive()


class ClusterPod(Handler):
    """The pods of a stand-in cluster: one server for all, which cannot die for one of them."""

    def die(self) -> None:
        """Break the connection."""
        self.connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError

    def do_POST(self) -> None:
        try:
            super().do_POST()
        except (OSError, ValueError):
            self.close_connection = True


def _pod_server(pods: StandInPods) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundPod", (ClusterPod,), {"pods": pods}))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def until(look: Callable[[], Any], *, within_s: float = PATIENCE_S) -> Any:
    """What `look` finds, as soon as it is true."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")
