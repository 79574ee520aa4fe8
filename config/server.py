"""`python -m config.server`: the web process, uvicorn set up for many quiet sockets (OPS-5, OPS-71)."""

import resource
import socket
import time
from types import FrameType

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand

from config.asgi import application
from config.websocket import SocketProtocol
from devices import reception
from sessions_app import drain, garbage

STILL_LISTENING_S = 2.0  # OPS-71: a balancer has this long to see /readyz say no
WS_PING_S = 30.0  # DEV-5: interval, within which the pong has to come
WS_MOST_BYTES = 1_048_576  # no route reads more; each has its own, smaller limit
BACKLOG = 4096
OPEN_FILES_MOST = 1_048_576


class Server(uvicorn.Server):
    """uvicorn that, told to end, first goes on listening while `/readyz` already says no."""

    leave_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; a second signal ends at once."""
        if drain.is_draining():
            super().handle_exit(sig, frame)
            return
        drain.begin()
        self.leave_at = time.monotonic() + STILL_LISTENING_S

    async def on_tick(self, counter: int) -> bool:
        """True when it is time to go: nobody new is let in, and what was promised time has had it (GES-39)."""
        if self.leave_at is not None and (late_s := time.monotonic() - self.leave_at) >= 0:
            for server in self.servers:
                server.close()
            self.should_exit = self.should_exit or not drain.is_busy() or late_s >= settings.SHUTDOWN_GRACE_S
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nobody any more, let the sockets finish what they have begun, then close everything."""
        for server in self.servers:
            server.close()
        await reception.drain()
        await super().shutdown(sockets)


def main() -> None:
    """Serve until a signal. Raises SystemCheckError if the settings are unsafe (OPS-61)."""
    BaseCommand().check()
    host, port = address(settings.SERVER_ADDR)
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws=SocketProtocol,
        ws_max_size=WS_MOST_BYTES,
        ws_ping_interval=WS_PING_S,
        ws_ping_timeout=None,  # the next ping is not sent before the last one was answered (websocket.py)
        ws_per_message_deflate=False,  # costs 35 KB and more for each connection
        backlog=BACKLOG,
        log_config=None,  # Django's logging is in place
        access_log=False,  # config/http.py writes one line per request
        proxy_headers=False,  # TRUSTED_PROXIES decides whom to believe
        server_header=False,
        timeout_graceful_shutdown=settings.SHUTDOWN_GRACE_S,
    )
    config.load()
    _allow_open_files()
    garbage.spare_the_collector()
    Server(config).run()


def address(text: str) -> tuple[str, int]:
    """Host and port of `host:port`; `:8080` is every interface, `[::1]:8080` is IPv6."""
    host, _, port = text.rpartition(":")
    return host.strip("[]") or "0.0.0.0", int(port)


def _allow_open_files() -> None:
    """Raise the soft limit to the hard one: each socket is an open file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES_MOST if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_MOST)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


if __name__ == "__main__":
    main()
