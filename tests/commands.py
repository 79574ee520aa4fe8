"""Running management commands as the shell would."""

import io

from django.core.management import CommandError, call_command


def run(name: str, *arguments: str) -> tuple[int, list[str]]:
    """The exit code and the lines on stdout."""
    out = io.StringIO()
    code = 0
    try:
        call_command(name, *arguments, stdout=out, no_progress=True)
    except SystemExit as ended:
        code = int(str(ended.code))
    except CommandError as refused:
        code = refused.returncode
    return code, out.getvalue().splitlines()
