"""`manage.py make_synthetic_greens`: write the shipped fictional course, byte for byte the same every time (ADV-48)."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from routing.golf import datasets, synthetic
from sessions_app import commands


class Command(commands.Command):
    help = "Write the four synthetic greens."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to."""
        super().add_arguments(parser)
        parser.add_argument("--root", type=Path, default=datasets.SHIPPED_ROOT, help="the folder of datasets.json")

    def run(self, **options: Any) -> int:
        """Always 0."""
        files = synthetic.files()
        for path, data in files.items():
            target = options["root"] / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            if not options["json"]:
                self.say(f"wrote {path} {len(data)} bytes")
        if options["json"]:
            self.say_json({"files": sorted(files)})
        return commands.DONE
