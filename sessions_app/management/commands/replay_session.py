"""`manage.py replay_session`: fold logs, compare them with the rows, mend what can be mended (SES-58 to SES-62)."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from sessions_app import commands, ids
from sessions_app.log import repair
from sessions_app.log.repair import Report
from sessions_app.models import Session

Named = tuple[str, str]  # user_id, session_id


class Command(commands.Command):
    help = "Compare session logs with their rows."

    def add_arguments(self, parser: CommandParser) -> None:
        """One of: a session, a user, all."""
        super().add_arguments(parser)
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("session_id", nargs="?")
        which.add_argument("--user")
        which.add_argument("--all", action="store_true")
        parser.add_argument("--repair", action="store_true", help="mend what appending and changing rows can mend")

    def run(self, **options: Any) -> int:
        """0 all agree or are mended, 1 a difference remains, 2 unknown session or unreadable root."""
        scope, total = _scope(**options)
        left = 0
        for user_id, session_id in self.track(scope, total=total, what="replay"):
            report = repair.examine(user_id, session_id, repair=options["repair"])
            left += not report.agrees
            self._print(report, as_json=options["json"])
        return commands.FOUND if left else commands.DONE

    def _print(self, report: Report, *, as_json: bool) -> None:
        if as_json:
            members = {name: getattr(report, name) for name in ("session_id", "user_id", "events", "state")}
            self.say_json({**members, "differences": [asdict(found) for found in report.findings]})
            return
        for found in report.findings:
            self.say(f"{_word(found)} {report.session_id} {found.kind} {found.detail}")
        if not report.findings:
            self.say(f"ok {report.session_id} events={report.events}")


def _word(found: repair.Finding) -> str:
    return "repaired" if found.repaired else "differs"


def _scope(*, session_id: str | None, user: str | None, all: bool, **_: Any) -> tuple[Iterator[Named], int | None]:
    """The sessions to examine, by row and by log. Raises BadCall."""
    try:
        root = Path(settings.LOG_ROOT)
        for folder in (root, root / "users"):
            if folder is root or folder.exists():
                next(folder.iterdir(), None)
    except OSError as error:
        raise commands.BadCall(f"LOG_ROOT cannot be read: {error}") from error
    if all:
        return _named(Session.objects.all(), "*"), Session.objects.count()
    if user is not None:
        if not ids.is_actor_id(user):
            raise commands.BadCall("--user has the wrong form")
        return _named(Session.objects.filter(user_id=user), user), None
    return iter([_one(session_id or "")]), 1


def _one(session_id: str) -> Named:
    if not ids.is_session_id(session_id):
        raise commands.BadCall("SESSION_ID has the wrong form")
    session = Session.objects.filter(session_id=session_id).first()
    if session is not None:
        return session.user_id, session_id
    log = next(Path(settings.LOG_ROOT).glob(f"users/*/sessions/{session_id}.jsonl"), None)
    if log is None:
        raise commands.BadCall(f"unknown session {session_id}")
    return log.parent.parent.name, session_id


def _named(rows: Any, user: str) -> Iterator[Named]:
    """Sessions with a row, then logs without one."""
    yield from rows.order_by("start_time").values_list("user_id", "session_id").iterator(chunk_size=500)
    for log in Path(settings.LOG_ROOT).glob(f"users/{user}/sessions/*.jsonl"):
        named = log.parent.parent.name, log.stem
        if ids.is_actor_id(named[0]) and ids.is_session_id(named[1]):
            row = Session.objects.filter(session_id=log.stem).only("user_id").first()
            if row is None or row.user_id != named[0]:
                yield named
