"""Log appends per second beside the disk's own fsync rate, in one run, as ratios.

    .venv/bin/python -m benchmarks.eventlog [--seconds 1] [--rounds 15] [--sync-ms 0]

The floor is the plainest program that keeps the same promise: one write of an equal line and one fsync to one file,
again and again. `append` is eventlog.append: it adds the checks, the lock and the chain. `verb` is the verb of
POST /schema-recorder/append: it adds a transaction that locks the row, moves it along and commits. With 200 sessions
the fsyncs overlap.

A virtual disk changes its mood from one second to the next, so the floor is measured anew right before each case, and
the ratio is the median of their ratios.

Many virtual disks answer a sync from memory. `--sync-ms 1.5` makes every sync of this program, the floor's too, take at
least that long, as on a disk that keeps its word; PostgreSQL's own syncs stay as they are.
"""

import argparse
import itertools
import math
import os
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.stage import stage

SESSIONS = 200
THREADS = 32  # appends in flight; each has a database connection
MOST_PER_SECOND = 20_000  # no disk answers that many syncs


def main() -> None:
    """Measure in interleaved rounds; print the median of each case and of its ratios to the floor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--sync-ms", type=float, default=0.0)
    given = parser.parse_args()
    if given.sync_ms:
        os.fsync = _no_faster_than(given.sync_ms / 1000)
    os.environ.setdefault("DB_POOL_MAX", str(THREADS + 2))
    with stage() as folder:
        from sessions_app import garbage

        garbage.spare_the_collector()  # as the web process does
        floors: list[float] = []
        rates: dict[str, list[float]] = {name: [] for name in CASES}
        ratios: dict[str, list[float]] = {name: [] for name in CASES}
        for _ in range(given.rounds):
            for name, (measure, sessions, threads) in CASES.items():
                floors.append(_floor(folder / "logs" / "floor", given.seconds))
                rates[name].append(measure(sessions, threads, given.seconds))
                ratios[name].append(rates[name][-1] / floors[-1])
    print(f"{'case':<26}{'per second':>12}{'x floor':>10}")
    print(f"{'fsync floor':<26}{statistics.median(floors):>12.0f}{1:>10.2f}")
    for name in CASES:
        print(f"{name:<26}{statistics.median(rates[name]):>12.0f}{statistics.median(ratios[name]):>10.2f}")


def _no_faster_than(seconds: float) -> Callable[[Any], None]:
    sync = os.fsync

    def slow(descriptor: Any) -> None:
        until = time.perf_counter() + seconds
        sync(descriptor)
        time.sleep(max(0.0, until - time.perf_counter()))

    return slow


def _floor(path: Path, seconds: float) -> float:
    line = b"x" * 420 + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    count, until = 0, time.perf_counter() + seconds
    started = time.perf_counter()
    while time.perf_counter() < until:
        os.write(descriptor, line)
        os.fsync(descriptor)
        count += 1
    spent = time.perf_counter() - started
    os.close(descriptor)
    return count / spent


def _appends(sessions: int, threads: int, seconds: float) -> float:
    from sessions_app import eventlog

    return _shared_out(eventlog.append, sessions, threads, seconds)


def _verbs(sessions: int, threads: int, seconds: float) -> float:
    from sessions_app import recorder
    from sessions_app.access.auth import Caller

    service = Caller(roles=frozenset({"service"}), service="bench")
    return _shared_out(lambda _, event: recorder.append(event, by=service), sessions, threads, seconds)


def _shared_out(act: Callable[[Any, Any], Any], sessions: int, threads: int, seconds: float) -> float:
    """How often a second `act` was done on `sessions` new sessions in turn, by so many threads."""
    from django.db import connection

    from sessions_app import ids

    rows = [(session, _event(session)) for session in map(_session, range(sessions))]
    # Made before the clock starts, as the floor's line is: they come with the events of other services.
    record_ids = iter([ids.new_record_id() for _ in range(math.ceil(seconds * MOST_PER_SECOND))])
    counts = [0] * threads
    started = time.perf_counter()

    def work(number: int) -> None:
        for session, event in itertools.cycle(rows[number::threads]):
            if time.perf_counter() >= started + seconds:
                break
            act(session, {**event, "record_id": next(record_ids)})
            counts[number] += 1
        connection.close()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - started)


def _session(number: int) -> Any:
    from sessions_app import sessions
    from sessions_app.access.auth import Caller

    user_id = f"bench-{time.monotonic_ns()}-{number}"
    return sessions.open_implicitly(user_id=user_id, by=Caller(user_id=user_id), via="snapshot")


def _event(session: Any) -> dict[str, Any]:
    from sessions_app import ids

    return {
        "schema_version": "1.0.1",
        "record_id": ids.new_record_id(),
        "user_id": session.user_id,
        "session_id": session.session_id,
        "timestamp": "2026-03-02T09:20:00.000Z",
        "source": "notes_service",
        "performer_id": "carer01",
        "event": "note.added",
        "modality": None,
        "note": "left hand tired",
    }


CASES = {
    "append, 1 session": (_appends, 1, 1),
    f"append, {SESSIONS} sessions": (_appends, SESSIONS, THREADS),
    "verb, 1 session": (_verbs, 1, 1),
    f"verb, {SESSIONS} sessions": (_verbs, SESSIONS, THREADS),
}


if __name__ == "__main__":
    main()
