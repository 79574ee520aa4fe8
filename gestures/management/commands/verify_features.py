"""`manage.py verify_features`: verify every capture in scope, name files and lines without a row (GES-60)."""

from collections import Counter
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import QuerySet

from gestures import verification
from gestures.models import FeatureRef
from sessions_app import commands, ids
from sessions_app.models import Session


class Command(commands.Command):
    help = "Verify the features of all captures of a session, a user, or everybody."

    def add_arguments(self, parser: CommandParser) -> None:
        """One of: a session, a user, all."""
        super().add_arguments(parser)
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--session", metavar="ID")
        which.add_argument("--user", metavar="ID")
        which.add_argument("--all", action="store_true")

    def run(self, **options: Any) -> int:
        """0 nothing failed (an orphan file alone does not), 1 something did, 2 as GES-59."""
        sessions = _scope(**options)
        captures = FeatureRef.objects.filter(session__in=sessions)
        self._json, self._counts = options["json"], Counter[str]()
        for ref in self.track(captures.iterator(chunk_size=200), total=captures.count(), what="verify"):
            verdict = verification.verify(ref)
            self._counts["verified"] += 1
            self._counts["ok" if verdict.is_ok else "failed"] += 1
            if not verdict.is_ok:
                self._tell(verdict.word, str(ref.record_id), verdict.detail)
        for session in sessions.iterator(chunk_size=200):
            self._look_around(session)
        for session_id, record_id in verification.strays() if options["all"] else ():
            self._tell_orphan(record_id, f"a file, and no session {session_id}")
        totals = {name: self._counts[name] for name in ("verified", "ok", "failed", "orphans")}
        if self._json:
            self.say_json(totals)
        else:
            self.say(" ".join(f"{name}={count}" for name, count in totals.items()))
        return commands.FOUND if self._counts["failed"] else commands.DONE

    def _look_around(self, session: Session) -> None:
        for record_id in verification.lines_without_row(session):
            self._counts["failed"] += 1
            self._tell("row_missing", record_id, f"session {session.session_id} has a line and no row")
        for record_id in verification.orphans(session):
            self._tell_orphan(record_id, f"session {session.session_id} has a file and no row")

    def _tell_orphan(self, record_id: str, detail: str) -> None:
        self._counts["orphans"] += 1
        self._tell("orphan_file", record_id, detail)

    def _tell(self, word: str, record_id: str, detail: str) -> None:
        if self._json:
            self.say_json({"verdict": word, "record_id": record_id, "detail": detail})
        else:
            self.say(f"{word} {record_id} {detail}")


def _scope(*, session: str | None, user: str | None, **_: Any) -> QuerySet[Session]:
    """The sessions in question, oldest first. Raises BadCall."""
    everyone = Session.objects.order_by("start_time", "session_id")
    if session is not None:
        if not ids.is_session_id(session):
            raise commands.BadCall("--session has the wrong form")
        if not everyone.filter(session_id=session).exists():
            raise commands.BadCall(f"unknown session {session}")
        return everyone.filter(session_id=session)
    if user is not None:
        if not ids.is_actor_id(user):
            raise commands.BadCall("--user has the wrong form")
        return everyone.filter(user_id=user)
    return everyone
