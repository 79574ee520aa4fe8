"""`manage.py cleanup_pods`: one pass of every repair of pods and queues (POD-69 to POD-72)."""

import time
from collections import Counter
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from routing.pod import reaper
from sessions_app import commands

COUNTED_AS = {"expire": "expired", "terminate": "terminated", "remove": "orphans", "repair": "repaired"}
TOTALS = (*COUNTED_AS.values(), "failed")


class Command(commands.Command):
    help = "Repair pods and queues."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options of POD-69."""
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="only tell what would be done")
        parser.add_argument("--loop", type=int, metavar="SECONDS", help="repeat until SIGTERM")

    def run(self, **options: Any) -> int:
        """0; 1 if an act failed."""
        if options["loop"] is not None and options["loop"] < 1:
            raise commands.BadCall("--loop must be at least 1")
        failed = self._once(**options)
        while options["loop"] and not self._slept(options["loop"]):
            failed += self._once(**options)
        return commands.FOUND if failed else commands.DONE

    def _once(self, *, dry_run: bool, json: bool, **_: Any) -> int:
        counts: Counter[str] = Counter()
        for act in self.track(reaper.everything(dry_run), total=None, what="cleanup"):
            counts["failed" if act.failed else COUNTED_AS[act.act]] += 1
            if json:
                self.say_json(asdict(act))
            else:
                self.say(f"{'failed' if act.failed else 'would-' * dry_run + act.act} {act.session_id} {act.reason}")
        totals = {name: counts[name] for name in TOTALS}
        if json:
            self.say_json(totals)
        else:
            self.say(" ".join(f"{name}={value}" for name, value in totals.items()))
        return counts["failed"]

    def _slept(self, seconds: int) -> bool:
        """Sleep in short steps; True once SIGTERM has come."""
        until = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < until:
            time.sleep(min(0.2, max(0.0, until - time.monotonic())))
        return self.stopping
