"""States: durable updates per second beside pgbench, reads beside Starlette with asyncpg, latencies of 50 clients.

    .venv/bin/python -m benchmarks.state [--seconds 5] [--rounds 3] [--peer /tmp/peer/bin/python]

Rounds are interleaved and medians compared, so the ratios hold where absolute figures do not. pgbench runs one equal
UPDATE (a JSONB row of 520 bytes, a patch of 90 bytes) with 100 clients; ours commits an incremental update of an equal
state with its log entry, checksum, acknowledgement and fan-out, 100 sessions in flight. For reads each server has one
core. The peer's Python is made by

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install starlette asyncpg uvicorn uvloop httptools orjson
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import httpload, pgbench
from benchmarks.stage import stage

IN_FLIGHT, READERS, CLIENTS = 100, 32, 50
PATCH = {"mood": "calm and steady", "progress": 0, "note": "a short note of some forty characters"}
USER = "bench"


def main() -> None:
    """Measure in interleaved rounds and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", default="/tmp/peer/bin/python", help="a Python that has starlette and asyncpg")
    given = parser.parse_args()
    with stage():
        pgbench.prepare(IN_FLIGHT)
        _durable(given.seconds, given.rounds)
        with _server(core=0) as port:
            _reads(port, given.peer, given.seconds, given.rounds)
        with _server() as port:
            _latencies(port, given.seconds)


def _durable(seconds: float, rounds: int) -> None:
    from sessions_app import garbage

    garbage.spare_the_collector()  # as the web process does
    cases: dict[str, Callable[[], float]] = {
        "pgbench, one equal UPDATE": lambda: pgbench.run(IN_FLIGHT, seconds),
        "in-process verb": lambda: uvloop.run(_verbs(_sessions(IN_FLIGHT), seconds)),
    }
    medians = _medians(cases, rounds)
    with _server() as port:  # only now: it would take its share of the cores from the other two
        medians |= _medians({"HTTP incremental": lambda: _http_updates(port, seconds)}, rounds)
    _table(f"durable updates per second, {IN_FLIGHT} in flight", medians)


async def _verbs(sessions: list[str], seconds: float) -> float:
    """Incremental updates per second through the committer, each session's next one after its ack."""
    from sessions_app import broadcast
    from sessions_app.access.auth import Caller
    from sessions_app.state import committer
    from sessions_app.state.operations import Operation
    from sessions_app.state.writes import Update

    broadcast.start()
    caller, end = Caller(user_id=USER), time.perf_counter() + seconds

    async def one(session_id: str) -> int:
        version = 1
        while time.perf_counter() < end:
            write = Update(version, {**PATCH, "progress": version}, ())
            operation = Operation(session_id=session_id, by=caller, write=write, user_id=USER, device_id="d1")
            outcome = await committer.committed(operation)
            assert outcome.version is not None
            version = outcome.version.version
        return version - 1

    counts = await asyncio.gather(*map(one, sessions))
    await committer.stop()
    await broadcast.stop()
    return sum(counts) / seconds


def _http_updates(port: int, seconds: float) -> float:
    sessions, token = _sessions(IN_FLIGHT), _token()

    def make(connection: int, number: int) -> bytes:
        body = {"session_id": sessions[connection], "user_id": USER, "base_version": number + 1}
        data = json.dumps({**body, "changes": {**PATCH, "progress": number}}).encode()
        return httpload.request("POST", "/session/incremental", token, data)

    return _checked(httpload.run(port, make, connections=IN_FLIGHT, seconds=seconds)).rate


def _reads(port: int, peer: str, seconds: float, rounds: int) -> None:
    [session_id] = _sessions(1, size_bytes=2048)
    get = httpload.request("GET", f"/session/{session_id}", _token())

    def rate(at: int) -> float:
        return _checked(httpload.run(at, lambda *_: get, connections=READERS, seconds=seconds)).rate

    if not Path(peer).exists():
        print(f"\nreads: no peer at {peer}; see --help. Ours alone: {rate(port):.0f} per second")
        return
    with _peer(peer) as peer_port, _pinned(1):
        cases = {"Starlette + asyncpg": lambda: rate(peer_port), "GET /session/{id}": lambda: rate(port)}
        medians = _medians(cases, rounds)
    _table(f"reads of 2 KiB per second, {READERS} connections, one core each", medians)


def _latencies(port: int, seconds: float) -> None:
    sessions, token = _sessions(CLIENTS, size_bytes=2048), _token()
    resolved, state = _sessions(CLIENTS, size_bytes=2048), _state(2048)

    def write(connection: int, number: int) -> bytes:
        body = {"session_id": sessions[connection], "user_id": USER, "state_data": {**state, "progress": number}}
        return httpload.request("POST", "/session/snapshot", token, json.dumps(body).encode())

    def read(connection: int, number: int) -> bytes:
        return httpload.request("GET", f"/session/{sessions[connection]}", token)

    def resolve(connection: int, number: int) -> bytes:
        body = {"session_id": resolved[connection], "client_version": number + 1, "client_state": {"progress": number}}
        data = json.dumps({**body, "resolution_strategy": "merge"}).encode()
        return httpload.request("POST", "/session/conflict/resolve", token, data)

    print(f"\nlatency at {CLIENTS} clients without pause (seed: 50 ms)   p50 ms   p95 ms   per second")
    for name, make in {"snapshot write": write, "snapshot read": read, "resolution": resolve}.items():
        load = _checked(httpload.run(port, make, connections=CLIENTS, seconds=seconds))
        print(f"{name:<50}{load.quantile_ms(0.5):>8.1f}{load.quantile_ms(0.95):>9.1f}{load.rate:>13.0f}")


def _sessions(count: int, size_bytes: int = 520) -> list[str]:
    """New sessions with a state of that size each."""
    from sessions_app import snapshots
    from sessions_app.access.auth import Caller
    from sessions_app.state.operations import Operation, Outcome
    from sessions_app.state.writes import Replace

    ids, by, state = [str(uuid.uuid4()) for _ in range(count)], Caller(user_id=USER), _state(size_bytes)
    made = snapshots.commit([Operation(session_id=i, by=by, write=Replace(state), user_id=USER) for i in ids])
    assert all(isinstance(one, Outcome) for one in made)
    return ids


def _state(size_bytes: int) -> dict[str, Any]:
    state: dict[str, Any] = dict(PATCH)
    while len(json.dumps(state, separators=(",", ":"))) < size_bytes:
        state[f"key_{len(state):02}"] = {"value": len(state), "text": "steady"}
    return state


def _token() -> str:
    from sessions_app.access import tokens

    return str(tokens.issue(USER)["access_token"])


@contextmanager
def _server(core: int | None = None) -> Iterator[int]:
    """Our web process on a free port, on one core if asked for."""
    with _serving([sys.executable, "-m", "config.server"], "/livez", core, lambda port: f"127.0.0.1:{port}") as port:
        yield port


@contextmanager
def _peer(python: str) -> Iterator[int]:
    port = _free_port()
    options = ["--port", str(port), "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    command = [python, "-m", "uvicorn", "benchmarks.starlette_peer:app", *options]
    with _serving(command, "/", 0, lambda _: "", port):
        yield port


@contextmanager
def _serving(
    command: list[str], path: str, core: int | None, address: Callable[[int], str], port: int | None = None
) -> Iterator[int]:
    port = port or _free_port()
    env = {**os.environ, "SERVER_ADDR": address(port)}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        _wait_for(f"http://127.0.0.1:{port}{path}")
        yield port
    finally:
        process.terminate()
        process.wait(40)


@contextmanager
def _pinned(core: int) -> Iterator[None]:
    """Keep this process, which makes the load, off the core of the servers."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _wait_for(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except urllib.error.HTTPError:
            return  # any answer will do
        except OSError:
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _checked(load: httpload.Load) -> httpload.Load:
    if load.refused or not load.latencies_s:
        sys.exit(f"{load.refused} of {len(load.latencies_s)} requests were refused: nothing was measured")
    return load


def _medians(cases: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    measured: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, case in cases.items():
            measured[name].append(case())
    return {name: statistics.median(rates) for name, rates in measured.items()}


def _table(title: str, medians: dict[str, float]) -> None:
    first = next(iter(medians.values()))
    print(f"\n{title}")
    for name, rate in medians.items():
        print(f"{name:<50}{rate:>8.0f}{rate / first:>8.2f}x")


if __name__ == "__main__":
    main()
