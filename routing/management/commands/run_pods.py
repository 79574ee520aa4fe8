"""`manage.py run_pods`: deliver messages, run local pods, observe Kubernetes, reap (POD-53)."""

import asyncio
import signal
from typing import Any

import uvloop
from django.core.management.base import CommandParser

from routing.pod import drivers
from routing.pod.supervisor import Supervisor
from sessions_app import commands, garbage


class Command(commands.Command):
    help = "Tend pods until SIGTERM."
    serves = True

    def add_arguments(self, parser: CommandParser) -> None:
        """The options of POD-53."""
        super().add_arguments(parser)
        parser.add_argument("--once", action="store_true", help="one round of delivery, reaping and repair")

    def run(self, **options: Any) -> int:
        """0 once everything is given back."""
        try:
            uvloop.run(self._work(once=options["once"]))
        finally:
            drivers.current().close()
        return commands.DONE

    async def _work(self, *, once: bool) -> None:
        garbage.spare_the_collector()
        supervisor = Supervisor()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, supervisor.stop)
        await supervisor.run(once=once, ready=lambda: self.say("ready"))
