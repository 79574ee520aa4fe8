"""`manage.py cleanup_sessions`: close idle sessions and sweep what has expired (SES-56, SES-57)."""

from collections import Counter
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from sessions_app import cleanup, commands
from sessions_app.models import Session


class Command(commands.Command):
    help = "Close idle sessions."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options of SES-56."""
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="only tell what would be closed")
        parser.add_argument("--older-than", type=int, metavar="SECONDS", help="replaces every idle limit")
        parser.add_argument("--loop", type=int, metavar="SECONDS", help="repeat until SIGTERM")

    def run(self, **options: Any) -> int:
        """0; 1 if a closure failed."""
        for name in ("older_than", "loop"):
            if options[name] is not None and options[name] < 1:
                raise commands.BadCall(f"--{name.replace('_', '-')} must be at least 1")
        failed = self._once(**options)
        while options["loop"] and not self.slept(options["loop"]):
            failed += self._once(**options)
        return commands.FOUND if failed else commands.DONE

    def _once(self, *, older_than: int | None, dry_run: bool, json: bool, **_: Any) -> int:
        counts: Counter[str] = Counter()
        closings = cleanup.close_idle(older_than_s=older_than, dry_run=dry_run)
        for one in self.track(closings, total=None, what="cleanup"):
            counts[one.act] += 1
            if json:
                self.say_json(asdict(one))
            else:
                self.say(f"{one.act} {one.session_id} {one.user_id} idle={one.idle_s}")
        for line in cleanup.sweep(dry_run=dry_run):
            if not json:
                self.say(line)
        totals = {"closed": counts["closed"], "failed": counts["failed"], "active": Session.objects.active().count()}
        if json:
            self.say_json(totals)
        else:
            self.say(" ".join(f"{name}={value}" for name, value in totals.items()))
        return counts["failed"]
