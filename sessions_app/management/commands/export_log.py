"""`manage.py export_log SESSION_ID`: the session's log on stdout, byte for byte."""

import shutil
import sys
from typing import Any

from django.core.management.base import CommandParser

from sessions_app import commands, ids, paths
from sessions_app.log import logreader
from sessions_app.models import Session


class Command(commands.Command):
    help = "Write a session's JSONL log to stdout."

    def add_arguments(self, parser: CommandParser) -> None:
        """The session."""
        super().add_arguments(parser)
        parser.add_argument("session_id")

    def run(self, **options: Any) -> int:
        """0; 2 for an unknown session or a log that cannot be read."""
        session_id = options["session_id"]
        session = Session.objects.filter(session_id=session_id).first() if ids.is_session_id(session_id) else None
        if session is None:
            raise commands.BadCall(f"unknown session {session_id}")
        try:
            with logreader.opened(paths.session_log_path(session.user_id, session_id)) as log:
                shutil.copyfileobj(log, sys.stdout.buffer)
        except (OSError, paths.PathRefused) as error:
            raise commands.BadCall(f"the log cannot be read: {error}") from error
        sys.stdout.flush()
        return commands.DONE
