"""`python -m tests.gestures.dying`: completes captures in forks of one process, each killed at its own fault point.

The captures come on stdin, JSON: the fault point and the open of each. A fork costs less than a web process for each.
"""

import json
import os
import sys

import django


def main() -> None:
    """Exit 0 if every fork was killed."""
    django.setup()
    for fault, opened in json.load(sys.stdin).items():
        pid = os.fork()  # before anything has connected: each fork has connections of its own
        if pid == 0:
            _complete(fault, opened)
            os._exit(0)
        if not os.WIFSIGNALED(os.waitpid(pid, 0)[1]):
            sys.exit(f"{fault} was not reached")


def _complete(fault: str, opened: dict[str, object]) -> None:
    from sessions_app import faults
    from tests.gestures.making import complete

    faults._FAULT, faults.reach = fault, faults._die
    complete(opened)


if __name__ == "__main__":
    main()
