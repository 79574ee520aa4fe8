"""`python -m tests.routing.dying worker|web <fault point> ...`: one after the other, each killed at its fault point.

They are forks of one process: that costs less than to begin each of them anew.
"""

import os
import sys

import django


def main() -> None:
    """Exit 0 if every fork was killed."""
    django.setup()
    what, *points = sys.argv[1:]
    for point in points:
        pid = os.fork()  # before anything has connected: each fork has connections of its own
        if pid == 0:
            _work(what, point)
            os._exit(0)
        if not os.WIFSIGNALED(os.waitpid(pid, 0)[1]):
            sys.exit(f"{point} was not reached")


def _work(what: str, point: str) -> None:
    from django.core.management import call_command

    from config import server
    from sessions_app import faults

    faults._FAULT, faults.reach = point, faults._die
    if what == "web":
        server.main()
    else:
        call_command("run_pods")


if __name__ == "__main__":
    main()
