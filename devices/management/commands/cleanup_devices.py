"""`manage.py cleanup_devices`: announce silent devices, forget old ones, erase handoffs (DEV-28, DEV-53, DEV-58)."""

from typing import Any

from django.core.management.base import CommandParser

from devices import handoff, presence, registry
from sessions_app import clock, commands
from sessions_app.errors import RedisUnavailable


class Command(commands.Command):
    help = "Announce silent devices, forget old ones, erase handoffs."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options of OPS-62."""
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="only tell what would be done")
        parser.add_argument("--loop", type=int, metavar="SECONDS", help="repeat until SIGTERM")

    def run(self, **options: Any) -> int:
        """0; 1 if Redis did not answer."""
        if options["loop"] is not None and options["loop"] < 1:
            raise commands.BadCall("--loop must be at least 1")
        failed = self._once(**options)
        while options["loop"] and not self.slept(options["loop"]):
            failed = self._once(**options) or failed
        return commands.FOUND if failed else commands.DONE

    def _once(self, *, dry_run: bool, json: bool, **_: Any) -> bool:
        at, done, failed = clock.now(), {}, False
        try:
            done["announced"] = presence.sweep(dry_run=dry_run)
        except RedisUnavailable as error:
            self.stderr.write(f"presence was not swept: {error.detail}")
            failed = True
        done["forgotten"] = registry.forget_old(at, dry_run=dry_run)
        done["erased"] = handoff.erase_old(at, dry_run=dry_run)
        if json:
            self.say_json(done)
        else:
            self.say(" ".join(f"{name}={count}" for name, count in done.items()))
        return failed
