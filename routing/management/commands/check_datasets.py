"""`manage.py check_datasets`: one line per green, and what is wrong with it (ADV-40)."""

from pathlib import Path
from typing import Any

from django.conf import settings

from routing.golf import datasets
from sessions_app import commands


class Command(commands.Command):
    help = "Check the registry of greens, every manifest and every grid."

    def run(self, **options: Any) -> int:
        """0; 1 on any fault."""
        found = datasets.load(Path(settings.COURSE_DATA_ROOT), Path(settings.DATASET_REGISTRY_PATH))
        lines: list[dict[str, Any]] = [
            {"dtm_id": one.manifest.dtm_id, "status": "warn" if one.notes else "ok", "detail": "; ".join(one.notes)}
            for one in found.datasets.values()
        ]
        lines += [{"dtm_id": one.dtm_id, "status": "invalid", "detail": one.reason} for one in found.invalid]
        if found.error is not None:
            lines.append({"dtm_id": None, "status": "unreadable", "detail": found.error})
        for line in lines:
            if options["json"]:
                self.say_json(line)
            else:
                self.say(" ".join(str(part) for part in (line["status"], line["dtm_id"], line["detail"]) if part))
        return commands.FOUND if found.invalid or found.error is not None else commands.DONE
