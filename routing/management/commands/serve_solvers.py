"""`manage.py serve_solvers`: the reference putt solver and shot planner, until SIGTERM (ADV-81)."""

import asyncio
import ipaddress
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import CommandParser

from routing.golf import datasets
from routing.golf.solver_service import PLANNER, SOLVER, Service
from sessions_app import commands


class Command(commands.Command):
    help = "Serve the reference putt solver and shot planner."
    serves = True
    requires_system_checks: list[str] = []  # neither hosts nor tokens play a part here

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to listen, and the key to ask for."""
        super().add_arguments(parser)
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--putt-port", type=int, default=7071, metavar="PORT")
        parser.add_argument("--plan-port", type=int, default=7072, metavar="PORT")
        parser.add_argument(
            "--api-key", metavar="K", help="for both; default PUTT_SOLVER_API_KEY and TEE_TO_GREEN_API_KEY"
        )

    def run(self, **options: Any) -> int:
        """0 after SIGTERM or SIGINT. Raises BadCall for an open address without a key."""
        keys = {
            SOLVER: options["api_key"] or settings.PUTT_SOLVER_API_KEY,
            PLANNER: options["api_key"] or settings.TEE_TO_GREEN_API_KEY,
        }
        if not _is_loopback(options["host"]) and not all(keys.values()):
            raise commands.BadCall("--host is not a loopback address: an API key is required")
        datasets.registry()
        ports = {SOLVER: options["putt_port"], PLANNER: options["plan_port"]}
        servers = [_Server(_config(Service(name, keys[name]), options["host"], ports[name])) for name in ports]
        asyncio.run(_serve(servers))
        return commands.DONE


class _Server(uvicorn.Server):
    """One of two in a process: the signals are not its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to `_serve`."""
        yield


async def _serve(servers: list[_Server]) -> None:
    """Run all until a signal, then let what is running finish."""

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await asyncio.gather(*(server.serve() for server in servers))


def _config(service: Service, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        service,
        host=host,
        port=port,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
