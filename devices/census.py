"""How many sockets there are (DEV-72, OPS-28): each process puts its numbers where all are added up."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
from django.db.models import Count, Q, Sum

from sessions_app import redisdoor
from sessions_app.fanout.hub import PROCESS_ID
from sessions_app.models import Session, State
from sessions_app.sockets.connection import Connection

CENSUS: Final = "baton:census"
VALID_S: Final = 30.0  # a process that reported longer ago is gone

Counts = dict[str, int]


def counted(sockets: Iterable[Connection]) -> Counts:
    """The numbers of this process: all that are open, and those that have authenticated by channel."""
    counts = Counter(one.channel or "unauthenticated" for one in sockets)
    return {**counts, "total": counts.total(), "authenticated": counts.total() - counts["unauthenticated"]}


def report(counts: Mapping[str, int]) -> None:
    """Put down this process's numbers. Raises RedisUnavailable."""
    redisdoor.call("hset", CENSUS, PROCESS_ID, orjson.dumps([time.time(), dict(counts)]))


def connections() -> Counts:
    """The numbers of all processes together. Raises RedisUnavailable."""
    total: Counter[str] = Counter({"total": 0, "authenticated": 0})
    for process, reported in redisdoor.call("hgetall", CENSUS).items():
        at, counts = orjson.loads(reported)
        if at < time.time() - VALID_S:
            redisdoor.call("hdel", CENSUS, process)
        else:
            total.update(counts)
    return dict(total)


def figures() -> dict[str, Any]:
    """What an administrator sees every ten seconds. Raises RedisUnavailable."""
    return {
        "sessions": Session.objects.aggregate(total=Count("pk"), active=Count("pk", filter=Q(status="active"))),
        "connections": connections(),
        "snapshots": State.objects.aggregate(total=Count("pk"), total_size_bytes=Sum("size_bytes", default=0)),
    }
