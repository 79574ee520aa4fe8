"""What asking for advice costs: our share beside a bare DRF view, and the reference services' own time.

    .venv/bin/python -m benchmarks.advice [--calls 300] [--rounds 3]

One real web process on the real disk, one keep-alive connection, interleaved rounds. The solver it asks is a socket
that answers at once, so what is measured is the server's share: reading the hole, routing, the call, keeping the
history. Solver and planner are timed in this process on one core: random putts on the four shipped greens, 1 to 10 m,
8 to 12 ft; random shots on the shipped hole with wind. Their CPU time is told too, because a busy machine stretches
the wall's; for the web process it is that of all its threads.
"""

import argparse
import http.client
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.stage import stage
from launcher import ports

COURSE = "baton_links"
BALL, CUP = {"lat": 56.336128337, "lon": -2.804206626}, {"lat": 56.336128209, "lon": -2.804125754}
PUTTS, SHOTS, WARM_UP = 200, 100, 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with stage():
        _report_services()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=_answer_all, args=(listener,), daemon=True).start()
            port = ports.any_free()
            solver = f"http://127.0.0.1:{listener.getsockname()[1]}"
            server = _start(port, PUTT_SOLVER_URL=solver, PUTT_SOLVER_API_KEY="", RATE_ADVICE="1000000/s")
            try:
                _report_overhead(port, server.pid, given.calls, given.rounds)
            finally:
                server.terminate()
                server.wait(30)


def _report_overhead(port: int, pid: int, calls: int, rounds: int) -> None:
    from sessions_app.access import tokens

    headers = {"Content-Type": "application/json"}
    headers["Authorization"] = f"Bearer {tokens.issue('u1', access_ttl_s=3600)['access_token']}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        members: dict[str, Any] = json.loads(answer.read())
        assert answer.status == 200, members
        return members

    hole = {"course_id": COURSE, "hole_id": 2, "ball_wgs84": BALL, "cup_wgs84": CUP}
    session_id = post("/api/session/start", hole)["session_id"]
    cases: dict[str, Callable[[], Any]] = {
        "bare DRF view": lambda: post("/bare", hole),
        "bare view, rate limited": lambda: post("/limited", hole),
        "advice, stateless": lambda: post("/api/get_hole_advice", hole),
        "advice, in a session": lambda: post("/api/get_hole_advice", {"session_id": session_id}),
        "advice, competition mode": lambda: post("/api/get_hole_advice", {**hole, "competition_mode": True}),
        "ball location": lambda: post("/api/session/set_ball_location", {"session_id": session_id, "ball_wgs84": BALL}),
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    cpu_ms = dict.fromkeys(cases, 0.0)
    for _ in range(rounds):
        for name, case in cases.items():
            before_ms = _cpu_ms(pid)
            times[name] += _timed(case, calls)
            cpu_ms[name] += (_cpu_ms(pid) - before_ms) / (rounds * (calls + WARM_UP))
    floor = np.percentile(times["bare DRF view"], 95)
    print(f"{'case':<28}{'p50 ms':>9}{'p95 ms':>9}{'p95 x bare':>12}{'CPU ms':>9}{'CPU x bare':>12}")
    for name, spent in times.items():
        p95, ratio = np.percentile(spent, 95), cpu_ms[name] / cpu_ms["bare DRF view"]
        wall = f"{np.percentile(spent, 50):>9.2f}{p95:>9.2f}{p95 / floor:>12.2f}"
        print(f"{name:<28}{wall}{cpu_ms[name]:>9.2f}{ratio:>12.2f}")


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


def _timed(case: Callable[[], Any], calls: int) -> list[float]:
    for _ in range(WARM_UP):
        case()
    return [_once(case) for _ in range(calls)]


def _once(case: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    case()
    return (clock() - began) * 1000


def _start(port: int, **env: str) -> "subprocess.Popen[bytes]":
    """The web process, once it answers."""
    nowhere = {"EXTRACTOR_URL": "tcp://127.0.0.1:1", "EXTRACTOR_KEY": "x" * 32}  # no workers warm up meanwhile
    env = {**os.environ, "SERVER_ADDR": f"127.0.0.1:{port}", **nowhere, **env}
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.advice_peer"], env=env)
    until = time.monotonic() + 60
    while ports.is_free("127.0.0.1", port):
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError("the web process did not start")
        time.sleep(0.1)
    time.sleep(1)
    return process


def _answer_all(listener: socket.socket) -> None:
    """A solver that takes no time: each connection in a thread, each request the same line."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection:
        data = b""
        while chunk := connection.recv(65_536):
            data += chunk
            head, found, body = data.partition(b"\r\n\r\n")
            if not found or len(body) < _length(head):
                continue
            asked, data = json.loads(body), b""
            members = {
                "contract_version": "0.5.0",
                "request_id": asked["request_id"],
                "dtm_id": asked["dtm_id"],
                "instruction_text": "3.0 m, plays 3.8 m, uphill 2 %. Aim at the cup centre.",
                "warnings": [],
                "raw": {"dll_return_code": 0, "dll_error_text": "", "solution": {"aim_deg": 0.0, "speed_mps": 2.113}},
                "plot": {"frame": "green_local_m", "points": [asked["ball"], asked["cup"]] * 8},
            }
            answer = json.dumps(members).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))


def _length(head: bytes) -> int:
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return next(int(value) for name, _, value in lines if name == b"content-length")


if __name__ == "__main__":
    main()
