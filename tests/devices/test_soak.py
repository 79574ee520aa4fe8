"""Many sockets for a long time: BATON_SOAK=10000x600 says how many, and for how many seconds (DEV-5, DEV-27)."""

import os

import pytest

from benchmarks.crowds import allow_open_files, crowd, resident_kib
from tests.processes import WebProcess

SETTLE_S = 30
LOOKS = 6
GROWTH = 1.03  # of the server's memory, from when all have settled
KIB_EACH, KIB_ONCE = 24, 8192  # for each connection, and for what the first ones bring with them


@pytest.mark.soak
def test_many_sockets_for_long(rows, web_env):
    """None is lost, memory is flat, and at the end each of them still hears what its session is told."""
    count, seconds = (int(number) for number in os.environ.get("BATON_SOAK", "10000x600").split("x"))
    allow_open_files()
    with WebProcess(**web_env) as web, crowd(web.port, 3) as first:
        assert web.process is not None
        first("join")
        before = resident_kib(web.process.pid)
        with crowd(web.port, count) as say:
            say("join")
            say(f"hold {SETTLE_S}")
            settled = resident_kib(web.process.pid)
            looks = []
            for _ in range(LOOKS):
                say(f"hold {seconds / LOOKS}")
                looks.append(resident_kib(web.process.pid))
            told = say("update 100 10")

    assert told["lost"] == 0
    assert told["report"]["delivered"] == told["report"]["expected"]
    assert settled - before <= KIB_EACH * count + KIB_ONCE
    assert max(looks) <= settled * GROWTH, (settled, looks)
