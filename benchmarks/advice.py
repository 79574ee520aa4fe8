"""What asking for advice costs: our share beside a bare DRF view, and the reference services' own time.

    .venv/bin/python -m benchmarks.advice [--calls 40] [--rounds 25]

One real web process on the real disk, one kept connection, short rounds in turn, so that a busy machine is as busy for
each case. The solver it asks answers at once and tells how long it took, which is taken off: what is measured is the
server's share, reading the hole, routing, the call, keeping the history. The bare view is a DRF APIView in the same
process, behind the same middleware; a second one stands in a Django project as `startproject` makes it, under uvicorn.
Solver and planner are timed in this process on one core: random putts on the four shipped greens, 1 to 10 m, 8 to
12 ft; random shots on the shipped hole with wind. CPU time is told too, as a busy machine stretches the wall's; for
the web process it is that of all its threads.
"""

import argparse
import gc
import json
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from benchmarks import instant_solver
from benchmarks.instant_solver import Solver, content_length
from benchmarks.stage import stage
from launcher import ports

COURSE = "baton_links"
BALL, CUP = {"lat": 56.336128337, "lon": -2.804206626}, {"lat": 56.336128209, "lon": -2.804125754}
PUTTS, SHOTS, WARM_UP = 200, 100, 4
NOWHERE = {"EXTRACTOR_URL": "tcp://127.0.0.1:1", "EXTRACTOR_KEY": "x" * 32}  # no workers warm up meanwhile


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=25)
    given = parser.parse_args()
    with stage(), instant_solver.running() as solver:
        _report_services()
        ours, stock = ports.any_free(), ports.any_free()
        env = {"SERVER_ADDR": f"127.0.0.1:{ours}", "PUTT_SOLVER_URL": solver.url, "PUTT_SOLVER_API_KEY": ""}
        env |= {"RATE_ADVICE": "1000000/s", **NOWHERE}
        with _serving("advice_peer", ours, env=env) as web, _serving("drf_peer", stock, str(stock)) as peer:
            cases = _cases(Client(ours), Client(stock), web, peer)
            gc.freeze()
            gc.disable()  # this process's collector is no part of anybody's answer
            for _ in range(given.rounds):
                for case in cases:
                    case.measure(given.calls, solver)
            _report(cases)


class Client:
    """One kept connection: little more than a socket, so that the server is what is measured."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.token = ""
        self.connect()

    def connect(self) -> None:
        """Anew: servers close what has been idle for some seconds."""
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, members: Mapping[str, Any]) -> dict[str, Any]:
        """Ask, and read what is answered."""
        answer: dict[str, Any] = json.loads(self.exchange(self.request(path, members)))
        return answer

    def request(self, path: str, members: Mapping[str, Any]) -> bytes:
        """The bytes of a request."""
        body = json.dumps(members).encode()
        lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
        lines += [f"Authorization: Bearer {self.token}"] * bool(self.token)
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body

    def exchange(self, request: bytes) -> bytes:
        """Send, and give the body of the 200 that comes."""
        self._socket.sendall(request)
        data, end = b"", 0
        while not end or len(data) < end:
            chunk = self._socket.recv(65_536)
            assert chunk, "the server has left"
            data += chunk
            if not end and (at := data.find(b"\r\n\r\n")) >= 0:
                end = at + 4 + content_length(data[:at])
        assert data.startswith(b"HTTP/1.1 200"), data
        return data[data.index(b"\r\n\r\n") + 4 :]


@dataclass
class Case:
    """One request, again and again, and what it took the process `pid`, without the solver's own time."""

    name: str
    pid: int
    client: Client
    request: bytes
    times_ms: list[float] = field(default_factory=list)
    cpu_ms: float = 0.0

    def measure(self, calls: int, solver: Solver) -> None:
        """A round of calls, one after the other."""
        self.client.connect()
        for _ in range(WARM_UP):
            self.client.exchange(self.request)
        before_ms = _cpu_ms(self.pid)
        for _ in range(calls):
            solver.spent_ms()
            took_ms = _once(partial(self.client.exchange, self.request))
            self.times_ms.append(took_ms - solver.spent_ms())
        self.cpu_ms += _cpu_ms(self.pid) - before_ms


def _cases(ours: Client, stock: Client, web: int, peer: int) -> list[Case]:
    from sessions_app.access import tokens

    ours.token = tokens.issue("u1", access_ttl_s=3600)["access_token"]
    hole = {"course_id": COURSE, "hole_id": 2, "ball_wgs84": BALL, "cup_wgs84": CUP}
    session = {"session_id": ours.post("/api/session/start", hole)["session_id"]}
    advice = "/api/get_hole_advice"

    def case(name: str, path: str, members: Mapping[str, Any]) -> Case:
        return Case(name, web, ours, ours.request(path, members))

    return [
        case("bare DRF view", "/bare", hole),
        Case("bare DRF view, stock Django", peer, stock, stock.request("/bare", hole)),
        case("bare view, rate limited", "/limited", hole),
        case("advice, stateless", advice, hole),
        case("advice, in a session", advice, session),
        case("advice, competition mode", advice, {**hole, "competition_mode": True}),
        case("ball location", "/api/session/set_ball_location", {**session, "ball_wgs84": BALL}),
    ]


def _report(cases: list[Case]) -> None:
    bare, stock = (np.percentile(case.times_ms, 95) for case in cases[:2])
    print(f"{'case':<28}{'p50 ms':>8}{'p95 ms':>8}{'x bare':>8}{'x stock':>9}{'CPU ms':>8}{'CPU x bare':>12}")
    for case in cases:
        p50, p95 = np.percentile(case.times_ms, (50, 95))
        cpu_ms, ratio = case.cpu_ms / len(case.times_ms), case.cpu_ms / cases[0].cpu_ms
        print(f"{case.name:<28}{p50:>8.2f}{p95:>8.2f}{p95 / bare:>8.2f}{p95 / stock:>9.2f}{cpu_ms:>8.2f}{ratio:>12.2f}")


def _report_services() -> None:
    """p95 of the reference solver and planner, one call after the other."""
    from routing.geometry import LocalPoint
    from routing.golf import datasets
    from routing.golf.solvers import lies, planning, putting, relief
    from routing.golf.solvers.bag import Player

    random = np.random.default_rng(1)
    greens = [found for found in datasets.registry().datasets.values() if found.heights is not None]
    surfaces = [relief.of(found.heights, found.green.valid, found.green.spacing_m) for found in greens]
    putts = []
    while len(putts) < PUTTS:
        ball, cup = (random.uniform((1.5, 1.5), (18.5, 14.5)) for _ in range(2))
        if 1 <= math.dist(ball, cup) <= 10:
            stimp_m = random.uniform(8, 12) * 0.3048
            putts.append(putting.Putt(LocalPoint(*ball.tolist()), LocalPoint(*cup.tolist()), stimp_m))
    area = lies.of_map(greens[1].hole)
    shots = [
        planning.Shot(
            LocalPoint(random.uniform(-349, -30), random.uniform(-40, 50)),
            LocalPoint(10, 8),
            Player(random.uniform(0, 36)),
            (random.normal() * 4, random.normal() * 4),
        )
        for _ in range(SHOTS)
    ]
    print(f"{'service':<28}{'p50 ms':>9}{'p95 ms':>9}{'p50 CPU ms':>12}{'p95 CPU ms':>12}")
    for name, work in (
        (f"solver, {PUTTS} putts", [partial(putting.solve, surfaces[n % 4], putts[n]) for n in range(PUTTS)]),
        (f"planner, {SHOTS} shots", [partial(planning.plan, area, shot) for shot in shots]),
    ):
        wall, cpu = ([_once(case, clock) for case in work] for clock in (time.perf_counter, time.process_time))
        figures = [np.percentile(spent, percent) for spent in (wall, cpu) for percent in (50, 95)]
        print(f"{name:<28}{figures[0]:>9.1f}{figures[1]:>9.1f}{figures[2]:>12.1f}{figures[3]:>12.1f}")
    print()


def _cpu_ms(pid: int) -> float:
    """CPU time a process has used."""
    with open(f"/proc/{pid}/stat") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) * 1000 / os.sysconf("SC_CLK_TCK")


def _once(case: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    case()
    return (clock() - began) * 1000


@contextmanager
def _serving(peer: str, port: int, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[int]:
    """The id of a process of benchmarks.`peer`, once it answers."""
    command = [sys.executable, "-m", f"benchmarks.{peer}", *arguments]
    process = subprocess.Popen(command, env={**os.environ, **(env or {})})
    try:
        until = time.monotonic() + 60
        while ports.is_free("127.0.0.1", port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{peer} did not start")
            time.sleep(0.1)
        time.sleep(1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
