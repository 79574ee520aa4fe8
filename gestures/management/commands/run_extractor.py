"""`manage.py run_extractor`: the extractor's workers behind a TCP address, for web processes elsewhere (GES-31)."""

import asyncio
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from gestures import extractor
from gestures.extraction.host import Host
from sessions_app import commands


class Command(commands.Command):
    help = "Serve landmark extraction at the address of EXTRACTOR_URL until SIGTERM."
    serves = True

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to listen."""
        super().add_arguments(parser)
        parser.add_argument("--host", help="listen on this address instead of EXTRACTOR_URL's host")

    def run(self, **options: Any) -> int:
        """0 on SIGTERM; 2 without an address or a key."""
        url = settings.EXTRACTOR_URL
        if not url.startswith("tcp://"):
            raise commands.BadCall("EXTRACTOR_URL must be tcp://host:port")
        if not settings.EXTRACTOR_KEY:
            raise commands.BadCall("EXTRACTOR_KEY is missing")
        host, _, port = url.removeprefix("tcp://").rpartition(":")
        asyncio.run(self._serve(options["host"] or host.strip("[]"), int(port)))
        return commands.DONE

    async def _serve(self, host: str, port: int) -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        pool, key = extractor.local_pool(), settings.EXTRACTOR_KEY.encode()
        pool.start()
        server = await loop.create_server(lambda: Host(pool, key), host, port)
        self.say("ready")
        await stop.wait()
        server.close()
        await pool.stop()
