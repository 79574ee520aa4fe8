"""`manage.py issue_token`: a token for a person or a service, without a password."""

from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions_app import ids
from sessions_app.access import logins, tokens

LONGEST_TTL_S = 86400


class Command(BaseCommand):
    help = "Print an access token for USER_ID."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options of OPS-62."""
        parser.add_argument("user_id")
        parser.add_argument("--role", action="append", default=[], choices=sorted(tokens.ROLES))
        parser.add_argument("--device")
        parser.add_argument("--session")
        parser.add_argument("--access-only", action="store_true")
        parser.add_argument("--ttl", type=int, default=None)
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the access token, or the whole object with --json."""
        if not ids.is_actor_id(options["user_id"]):
            raise CommandError("USER_ID has the wrong form", returncode=2)
        if options["session"] and not ids.is_session_id(options["session"]):
            raise CommandError("--session has the wrong form", returncode=2)
        if options["ttl"] is not None and not 1 <= options["ttl"] <= LONGEST_TTL_S:
            raise CommandError(f"--ttl must be from 1 to {LONGEST_TTL_S}", returncode=2)
        issued = logins.begin(
            options["user_id"],
            roles=options["role"] or ["user"],
            device_id=options["device"],
            session_id=options["session"],
            access_ttl_s=options["ttl"],
        )
        if options["access_only"]:
            issued = {name: value for name, value in issued.items() if not name.startswith("refresh")}
        self.stdout.write(orjson.dumps(issued).decode() if options["json"] else issued["access_token"])
