"""Sockets beside Socket.IO with its Redis adapter: memory of an idle connection, latency of an update to three devices.

    .venv/bin/python -m benchmarks.sockets [--connections 2000 10000] [--rate 1000] [--seconds 10] [--rounds 3]
                                           [--peer /tmp/socketio]

One generator drives both, pinned to the second core, the servers to the first; latencies come from interleaved rounds
with the largest crowd connected, and medians are compared. Baton's connections are authenticated, present and send
heartbeats; its STATE_UPDATE is acknowledged and told only once it is committed, which Socket.IO has no equal for. The
peer's modules are made by

    mkdir -p /tmp/socketio
    npm --prefix /tmp/socketio install socket.io@4.8.4 @socket.io/redis-adapter@8.3.0 ioredis@5
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.socketload import PER_SESSION
from benchmarks.stage import stage

SERVER_CORE, LOAD_CORE = 0, 1
WARM_UP = 3  # connections before the first figure is taken
SETTLE_S = 10.0


@dataclass(frozen=True)
class Server:
    """A server that runs: `kind` is what its clients do, `peer` whether it is the other one."""

    name: str
    pid: int
    port: int
    kind: str
    peer: bool


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, nargs="+", default=[2000, 10000])
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", default="/tmp/socketio", help="a folder with the peer's node_modules")
    given = parser.parse_args()
    with stage():
        cases = [(False, "update"), (False, "broadcast")]
        if Path(given.peer, "node_modules").exists():
            cases.append((True, "update"))
        else:
            print(f"no node_modules in {given.peer}: Socket.IO is left out")
        _memory(given.connections, given.peer, [case for case in cases if case != (False, "broadcast")])
        _latency(max(given.connections), given, cases)


def _memory(crowds: list[int], peer: str, cases: list[tuple[bool, str]]) -> None:
    print(f"\n{'idle connections':<34}{'KiB each':>10}{'joins/s':>10}{'lost':>6}")
    for count in crowds:
        for is_peer, kind in cases:
            with _serving(is_peer, kind, peer) as server:
                with _crowd(server, WARM_UP) as warm:
                    warm("join")
                    time.sleep(1)
                    before = _resident_kib(server.pid)
                    with _crowd(server, count) as say:
                        took = say("join")["report"]
                        lost = say(f"hold {SETTLE_S}")["lost"]
                        each = (_resident_kib(server.pid) - before) / count
                print(f"{server.name + ', ' + str(count):<34}{each:>10.1f}{count / took:>10.0f}{lost:>6}")


def _latency(count: int, given: argparse.Namespace, cases: list[tuple[bool, str]]) -> None:
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(given.rounds):
        for is_peer, kind in cases:
            with _serving(is_peer, kind, given.peer) as server, _crowd(server, count) as say:
                say("join")
                say(f"update {given.rate} 2")  # the first updates make the states
                report = say(f"update {given.rate} {given.seconds}")["report"]
                found.setdefault(f"{server.name}, {kind}", []).append(report)
    print(f"\n{given.rate:.0f} updates/s to {PER_SESSION} devices each, {count} connections, medians of {given.rounds}")
    print(f"{'':<34}{'p50 ms':>10}{'p99 ms':>10}{'p99.9 ms':>10}{'missing':>9}{'generator':>10}")
    for name, reports in found.items():
        middle = {key: statistics.median(report[key] for report in reports) for key in reports[0]}
        missing = sum(report["expected"] - report["delivered"] for report in reports)
        print(
            f"{name:<34}{middle['p50_ms']:>10.2f}{middle['p99_ms']:>10.2f}{middle['p999_ms']:>10.2f}"
            f"{missing:>9}{middle['generator_busy']:>10.2f}"
        )


@contextmanager
def _serving(is_peer: bool, kind: str, folder: str) -> Iterator[Server]:
    port = _free_port()
    if is_peer:
        name, command = "Socket.IO + Redis", ["node", str(Path(__file__).with_name("socketio_peer.js"))]
        env = {**os.environ, "PORT": str(port), "PEER_MODULES": folder}
    else:
        name, command = "Baton", [sys.executable, "-m", "config.server"]
        env = {**os.environ, "SERVER_ADDR": f"127.0.0.1:{port}", "EXTRACTOR_URL": "tcp://127.0.0.1:9"}
        env |= {"EXTRACTOR_KEY": "k" * 32}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    try:
        os.sched_setaffinity(process.pid, {SERVER_CORE})
        _wait_for(port)
        yield Server(name, process.pid, port, kind, is_peer)
    finally:
        process.kill()
        process.wait()


@contextmanager
def _crowd(server: Server, count: int) -> Iterator[Any]:
    """A generator with so many clients; call what it gives with a command to get the report."""
    tokens = [""] * (count // PER_SESSION + 1)
    if not server.peer:
        from sessions_app.access import tokens as issuing

        names = [f"bench-{time.time_ns()}-{number}" for number in range(len(tokens))]
        tokens = [issuing.issue(name, access_ttl_s=86_400)["access_token"] for name in names]
    plan = {"port": server.port, "peer": server.peer, "kind": server.kind, "connections": count, "tokens": tokens}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(plan, file)
        file.flush()
        command = [sys.executable, "-m", "benchmarks.socketload", file.name]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        os.sched_setaffinity(process.pid, {LOAD_CORE})

        def say(words: str) -> dict[str, Any]:
            process.stdin.write(words + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            answer: dict[str, Any] = json.loads(process.stdout.readline())  # type: ignore[union-attr]
            return answer

        try:
            yield say
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def _wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"nobody answers on port {port}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
