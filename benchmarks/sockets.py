"""Sockets beside Socket.IO with its Redis adapter: memory of an idle connection, latency of an update to three devices.

    .venv/bin/python -m benchmarks.sockets [--connections 2000 10000] [--crowd 1500] [--rate 1000] [--seconds 10]
                                           [--rounds 3] [--peer FOLDER]

One generator drives both, pinned to the second core, the servers to the first; latencies come from interleaved rounds,
and medians are compared. Baton's connections are authenticated, present and send heartbeats; its STATE_UPDATE is
acknowledged and told only once it is committed, which Socket.IO has no equal for. The peer's modules are taken from
FOLDER, or fetched by npm into a temporary folder.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.crowds import Say, allow_open_files, crowd, resident_kib
from benchmarks.socketload import PER_SESSION
from benchmarks.stage import stage

SERVER_CORE, LOAD_CORE = 0, 1
WARM_UP = 3  # connections before the first figure is taken
SETTLE_S = 10.0
PEER = ("socket.io@4.8.4", "@socket.io/redis-adapter@8.3.0", "ioredis@5.11.1")


@dataclass(frozen=True)
class Server:
    """A server that runs; `peer` says whether it is the other one."""

    name: str
    pid: int
    port: int
    peer: bool


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, nargs="*", default=[2000, 10000], help="crowds that idle")
    parser.add_argument("--crowd", type=int, default=1500, help="connections while updates are timed")
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", help="a folder with the peer's node_modules")
    given = parser.parse_args()
    allow_open_files()
    with _peer(given.peer) as peer, stage():
        _memory(given.connections, peer)
        if given.rounds:
            _latency(given, peer)


@contextmanager
def _peer(folder: str | None) -> Iterator[str | None]:
    """The folder of the peer's modules; None where there is no npm."""
    if folder is not None:
        yield folder
        return
    if shutil.which("npm") is None:
        print("there is no npm: Socket.IO is left out")
        yield None
        return
    with tempfile.TemporaryDirectory() as made:
        subprocess.run(["npm", "--prefix", made, "install", "--silent", "--no-audit", *PEER], check=True)
        yield made


def _memory(crowds: list[int], peer: str | None) -> None:
    print(f"\n{'idle connections':<34}{'KiB each':>10}{'joins/s':>10}{'lost':>6}")
    for count in crowds:
        for modules in (None, peer) if peer else (None,):
            with _serving(modules) as server, _crowd_of(server, WARM_UP) as warm:
                warm("join")
                time.sleep(1)
                before = resident_kib(server.pid)
                with _crowd_of(server, count) as say:
                    took = say("join")["report"]
                    lost = say(f"hold {SETTLE_S}")["lost"]
                    each = (resident_kib(server.pid) - before) / count
            print(f"{server.name + ', ' + str(count):<34}{each:>10.1f}{count / took:>10.0f}{lost:>6}", flush=True)


def _latency(given: argparse.Namespace, peer: str | None) -> None:
    cases = [(None, "update"), (None, "broadcast"), *([(peer, "update")] if peer else ())]
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(given.rounds):
        for modules, kind in cases:
            with _serving(modules) as server, _crowd_of(server, given.crowd, kind) as say:
                say("join")
                say(f"update {given.rate} 2")  # the first updates make the states
                report = say(f"update {given.rate} {given.seconds}")["report"]
                found.setdefault(f"{server.name}, {kind}", []).append(report)
    print(f"\n{given.rate:.0f} updates/s to {PER_SESSION} devices each, {given.crowd} connections, ", end="")
    print(f"medians of {given.rounds}; ratio is p50 and p99 to the last line's")
    print(f"{'':<28}{'p50 ms':>9}{'p99 ms':>9}{'p99.9 ms':>10}{'ratio':>14}{'missing':>9}{'generator':>11}")
    middles = {
        name: {key: statistics.median(one[key] for one in all_) for key in all_[0]} for name, all_ in found.items()
    }
    last = list(middles.values())[-1]
    for name, middle in middles.items():
        missing = sum(report["expected"] - report["delivered"] for report in found[name])
        ratio = f"{middle['p50_ms'] / last['p50_ms']:.2f} / {middle['p99_ms'] / last['p99_ms']:.2f}"
        print(
            f"{name:<28}{middle['p50_ms']:>9.2f}{middle['p99_ms']:>9.2f}{middle['p999_ms']:>10.2f}"
            f"{ratio:>14}{missing:>9}{middle['generator_busy']:>11.2f}"
        )


@contextmanager
def _serving(modules: str | None) -> Iterator[Server]:
    """Baton, or the peer if there are modules of it."""
    port = _free_port()
    if modules:
        name, command = "Socket.IO + Redis", ["node", str(Path(__file__).with_name("socketio_peer.js"))]
        env = {**os.environ, "PORT": str(port), "PEER_MODULES": modules}
    else:
        name, command = "Baton", [sys.executable, "-m", "config.server"]
        env = {**os.environ, "SERVER_ADDR": f"127.0.0.1:{port}", "EXTRACTOR_URL": "tcp://127.0.0.1:9"}
        env |= {"EXTRACTOR_KEY": "k" * 32, "WS_MAX_UNAUTHENTICATED_PER_IP": "10000"}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    try:
        os.sched_setaffinity(process.pid, {SERVER_CORE})
        _wait_for(port)
        yield Server(name, process.pid, port, modules is not None)
    finally:
        process.kill()
        process.wait()


def _crowd_of(server: Server, count: int, kind: str = "update") -> AbstractContextManager[Say]:
    return crowd(server.port, count, peer=server.peer, kind=kind, core=LOAD_CORE)


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
