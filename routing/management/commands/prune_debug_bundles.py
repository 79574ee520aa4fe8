"""`manage.py prune_debug_bundles`: remove debug bundles that are too old or too many (ADV-80)."""

from typing import Any

from django.core.management.base import CommandParser

from routing import bundles
from sessions_app import commands


class Command(commands.Command):
    help = "Remove old debug bundles."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whether to remove at all."""
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="only tell what would be removed")

    def run(self, **options: Any) -> int:
        """Always 0."""
        removed, kept = bundles.prune(dry_run=options["dry_run"])
        if options["json"]:
            self.say_json({"removed": removed, "kept": kept})
        else:
            self.say(f"removed={removed} kept={kept}")
        return commands.DONE
