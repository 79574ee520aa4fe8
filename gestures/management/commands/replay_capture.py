"""`manage.py replay_capture`: load one capture's features by reference and say whether they verify (GES-58)."""

from typing import Any

from django.core.management.base import CommandParser

from gestures import verification
from gestures.models import FeatureRef
from sessions_app import commands, ids


class Command(commands.Command):
    help = "Load and verify the features of one capture."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which capture."""
        super().add_arguments(parser)
        parser.add_argument("record_id")

    def run(self, **options: Any) -> int:
        """0 ok, 1 a check failed, 2 unknown capture (GES-59)."""
        record_id = options["record_id"]
        if not ids.is_canonical_uuid(record_id):
            raise commands.BadCall("RECORD_ID must be a UUID in canonical lower-case form")
        ref = FeatureRef.objects.filter(record_id=record_id).first()
        if ref is None:
            raise commands.BadCall(f"unknown capture {record_id}")
        verdict = verification.verify(ref)
        members = {
            "record_id": record_id,
            "shape": verdict.shape,
            "hash": verdict.hash,
            "encoding": ref.encoding,
            "verdict": verdict.word,
        }
        if options["json"]:
            self.say_json({**members, "detail": verdict.detail})
        else:
            for name, value in members.items():
                if value is not None:
                    self.say(f"{name}: {value}")
        return commands.DONE if verdict.is_ok else commands.FOUND
