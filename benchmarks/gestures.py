"""Frames per second through a whole capture beside a bare MediaPipe loop, and how soon it completes after its close.

    .venv/bin/python -m benchmarks.gestures [--frames 300] [--rounds 3] [--captures 12]

The frames are those of `./run demo`: a real portrait, panned and zoomed, 640x480. A `bare loop` decodes and processes
them and does nothing else, in a process of its own. The `whole path` sends the same frames over `/ws/capture` as fast
as they are taken, from the first frame to `capture.completed`: rows out, artefact synced, row committed, line logged.
Both alternate in one run, with as many loops as workers. `close to completed` is at the pace of a camera: 10 s at 15
frames a second, one capture after another.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.stage import stage
from launcher.demo import camera

FPS, CAPTURE_S = 15, 10
START = datetime(2026, 3, 2, 9, 20, tzinfo=UTC)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--captures", type=int, default=12)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare:
        print(_bare_loop(given.frames))
        return
    with stage():
        _throughput(given.frames, given.rounds)
        _latency(given.captures)


def _throughput(frames: int, rounds: int) -> None:
    cores = os.cpu_count() or 1
    cases = [1] if cores == 1 else [1, cores]
    bare: dict[int, list[float]] = {workers: [] for workers in cases}
    whole: dict[int, list[float]] = {workers: [] for workers in cases}
    for _ in range(rounds):
        for workers in cases:
            bare[workers].append(_bare_at_once(workers, frames))
            with _web(workers) as url:
                whole[workers].append(asyncio.run(_captures_at_once(url, workers, frames)))
    print(f"{'frames per second, all together':<34}{'bare loops':>12}{'whole path':>12}{'ratio':>8}")
    for workers in cases:
        floor, rate = statistics.median(bare[workers]), statistics.median(whole[workers])
        print(f"{f'{workers} at once, on {cores} cores':<34}{floor:>12.1f}{rate:>12.1f}{rate / floor:>8.2f}")


def _latency(captures: int) -> None:
    with _web(1) as url:
        waits = [asyncio.run(_paced_capture(url)) for _ in range(captures)]
    waits.sort()
    p95 = waits[min(len(waits) - 1, round(0.95 * len(waits)))]
    p50, p95, most = (round(1000 * wait) for wait in (statistics.median(waits), p95, waits[-1]))
    print(f"close to completed, {CAPTURE_S} s at {FPS} fps, n={captures}: p50 {p50} ms, p95 {p95} ms, most {most} ms")


def _shots(count: int) -> list[bytes]:
    view = camera.frames()
    return [view[number % len(view)] for number in range(count)]


def _bare_at_once(loops: int, frames: int) -> float:
    """Frames per second of so many bare loops together, each in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.gestures", "--bare", "--frames", str(frames)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(loops)]
    return sum(float(process.communicate()[0].split()[-1]) for process in running)


def _bare_loop(frames: int) -> float:
    """Frames per second of the library alone; its first, slow frame is left out, as a warm worker has had it."""
    import cv2
    import numpy as np
    from mediapipe.python.solutions.holistic import Holistic

    shots = _shots(frames)
    options = {"model_complexity": 1, "smooth_landmarks": True, "refine_face_landmarks": True}
    with Holistic(**options) as warm:
        warm.process(np.zeros((64, 64, 3), np.uint8))
    with Holistic(**options) as holistic:
        began = time.perf_counter()
        for jpeg in shots:
            pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            holistic.process(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
        return frames / (time.perf_counter() - began)


@contextmanager
def _web(workers: int) -> Iterator[str]:
    """A web process whose extractor workers are warm."""
    from tests.processes import free_port

    port = free_port()
    env = {**os.environ, "SERVER_ADDR": f"127.0.0.1:{port}", "EXTRACTOR_WORKERS": str(workers)}
    process = subprocess.Popen([sys.executable, "-m", "config.server"], env=env)
    url = f"http://127.0.0.1:{port}"
    try:
        while not _answers(url):
            time.sleep(0.1)
        asyncio.run(_captures_at_once(url, workers, 45))  # warm: the page cache, the connections, the workers
        time.sleep(1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez", timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


async def _captures_at_once(url: str, captures: int, frames: int) -> float:
    """Frames per second of so many captures together, from the first frame to the last `capture.completed`."""
    shots = _shots(frames)
    duration_s = max(2.0, frames / FPS)
    sockets = [await _opened(url) for _ in range(captures)]
    began = time.perf_counter()
    await asyncio.gather(*(_send_all(socket, shots, duration_s) for socket in sockets))
    return captures * frames / (time.perf_counter() - began)


async def _send_all(socket: ClientConnection, shots: list[bytes], duration_s: float) -> None:
    async def send() -> None:
        for seq, shot in enumerate(shots, 1):
            await _send_frame(socket, seq, shot, (seq - 1) * duration_s / len(shots))
        await socket.send(json.dumps({"event": "capture.close", "timestamp_end": _at(duration_s)}))

    _, outcome = await asyncio.gather(send(), _outcome(socket))
    assert outcome["event"] == "capture.completed", outcome


async def _paced_capture(url: str) -> float:
    """Seconds from `capture.close` to `capture.completed`."""
    socket, shots = await _opened(url), _shots(FPS * CAPTURE_S)
    listening = asyncio.create_task(_outcome(socket))
    began = time.perf_counter()
    for seq, shot in enumerate(shots, 1):
        await asyncio.sleep(max(0.0, began + seq / FPS - time.perf_counter()))
        await _send_frame(socket, seq, shot, (seq - 1) / FPS)
    await asyncio.sleep(max(0.0, began + CAPTURE_S - time.perf_counter()))
    closed = time.perf_counter()
    await socket.send(json.dumps({"event": "capture.close", "timestamp_end": _at(CAPTURE_S)}))
    outcome = await listening
    assert outcome["event"] == "capture.completed", outcome
    return float(outcome["heard_at"]) - closed


async def _opened(url: str) -> ClientConnection:
    from asgiref.sync import sync_to_async

    session_id, user_id, token = await sync_to_async(_new_session)()
    headers = {"Authorization": f"Bearer {token}"}
    where = f"{url.replace('http', 'ws', 1)}/ws/capture"
    # Without pings: a client that is held back (GES-33) would take its own unread pongs for a dead server.
    socket = await connect(where, additional_headers=headers, proxy=None, ping_interval=None)
    opening = {
        "event": "capture.open", "schema_version": "1.0.1", "record_id": str(uuid.uuid4()), "user_id": user_id,
        "session_id": session_id, "timestamp": _at(0), "performer_id": user_id, "timestamp_start": _at(0),
        "fps_target": FPS, "width": camera.WIDTH, "height": camera.HEIGHT, "encoding": "jpeg",
    }  # fmt: skip
    await socket.send(json.dumps(opening))
    answer = json.loads(await socket.recv())
    assert answer.get("ack") == "capture.open", answer
    return socket


def _new_session() -> tuple[str, str, str]:
    from sessions_app import sessions
    from sessions_app.access import tokens
    from sessions_app.access.auth import Caller

    user_id = f"bench-{uuid.uuid4()}"
    session = sessions.open_implicitly(user_id=user_id, by=Caller(user_id=user_id), via="snapshot")
    return session.session_id, user_id, str(tokens.issue(user_id)["access_token"])


async def _send_frame(socket: ClientConnection, seq: int, shot: bytes, at_s: float) -> None:
    meta = {"event": "capture.frame_meta", "seq": seq, "timestamp_frame": _at(at_s), "byte_length": len(shot)}
    await socket.send(json.dumps(meta))
    await socket.send(shot)


async def _outcome(socket: ClientConnection) -> dict[str, object]:
    """The last message before the server closes, and when it came."""
    last: dict[str, object] = {}
    async for text in socket:
        last = {**json.loads(text), "heard_at": time.perf_counter()}
    return last


def _at(seconds: float) -> str:
    at = START + timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


if __name__ == "__main__":
    main()
