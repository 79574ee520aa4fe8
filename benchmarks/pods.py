"""Chat with an awake pod beside a bare POST to the same agent; cold wakes; many sessions at once (local driver).

    .venv/bin/python -m benchmarks.pods [--chats 200] [--wakes 20] [--sessions 200]

Everything is real: the web process, one worker, the reference agent. `bare` is httpx to the agent's own port; `chat` is
the whole way of POST /session/{id}/chat with its three commits (one of them synced) and two synced log lines; both
alternate in one run. `cold wake` is from the chat that finds the pod asleep to its answer.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.stage import stage

MESSAGES_EACH = 5
CLIENTS = 16
PROCESSES_MOST = 32


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chats", type=int, default=200)
    parser.add_argument("--wakes", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=200)
    given = parser.parse_args()
    with stage():
        with baton() as http:
            _chat_beside_bare(http, given.chats)
            _cold_wakes(http, given.wakes)
        with baton(POD_IDLE_SLEEP_S="0.2", LOCAL_PODS_MAX=str(PROCESSES_MOST)) as http:
            _many(http, given.sessions)


@contextmanager
def baton(**env: str) -> Iterator[httpx.Client]:
    """The web process and one worker; an HTTP client that may act for anybody."""
    from sessions_app.access import tokens
    from tests.processes import free_port

    port = free_port()
    limits = {f"RATE_POD_{name}": "9999999/s" for name in ("CREATE", "WAKE", "CHAT", "DELETE", "SLEEP", "READ")}
    nowhere = {"EXTRACTOR_URL": "tcp://127.0.0.1:1", "EXTRACTOR_KEY": "x" * 32}  # no workers warm up meanwhile
    whole = {**os.environ, **limits, **nowhere, **env, "SERVER_ADDR": f"127.0.0.1:{port}"}
    commands = (["-m", "config.server"], ["manage.py", "run_pods"])
    running = [subprocess.Popen([sys.executable, *command], env=whole) for command in commands]
    token = tokens.issue("bench", roles=["operator"], access_ttl_s=86400)["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, trust_env=False) as http:
            _until(lambda: _answers(http))
            yield http
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(40)


def _chat_beside_bare(http: httpx.Client, count: int) -> None:
    session_id = _created(http)
    first = _ask(http, session_id, "first").json()
    _until(lambda: _is_answered(http, session_id, first["seq"]))
    url, token = _agent_of(session_id)
    bare, whole = [], []
    with httpx.Client(headers={"X-Pod-Token": token}, trust_env=False) as agent:
        for _ in range(count):
            body = {"message": "Hello", "message_id": str(uuid.uuid4())}
            bare.append(_timed(lambda body=body: agent.post(f"{url}/chat", json=body)))  # type: ignore[misc]
            whole.append(_timed(lambda: _must_be(_ask(http, session_id, "Hello"), 200)))
    _print("bare POST to the agent", bare)
    _print("chat, pod awake", whole)
    print(f"{'chat - bare at p95':<28}{_percentile(whole, 95) - _percentile(bare, 95):>10.1f} ms (aim: at most 15)")


def _cold_wakes(http: httpx.Client, count: int) -> None:
    session_id, took = _created(http), []
    for _ in range(count):
        began = time.perf_counter()
        asked = _ask(http, session_id, "wake up").json()
        _until(lambda asked=asked: _is_answered(http, session_id, asked["seq"]))  # type: ignore[misc]
        took.append((time.perf_counter() - began) * 1000)
        http.post(f"/session/{session_id}/sleep")
        _until(lambda: _status(http, session_id)["replicas"] == 0)
    _print("cold wake to answer", took)


def _many(http: httpx.Client, sessions: int) -> None:
    """Each session gets its messages at once; then the order, the processes and the ports are looked at."""
    ids = [_created(http) for _ in range(sessions)]
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        asked = [(one, f"m{number}") for number in range(MESSAGES_EACH) for one in ids]
        for answer in pool.map(lambda pair: _ask(http, *pair), asked):
            _must_be(answer, 200, 202)
        accepted_s = time.perf_counter() - began
        done = list(pool.map(lambda one: _all_answered(http, one), ids))
    took_s = time.perf_counter() - began
    in_order = all(_agents_turns(one) == [f"m{number}" for number in range(MESSAGES_EACH)] for one in ids)
    print(f"{sessions} sessions x {MESSAGES_EACH} messages, at most {PROCESSES_MOST} processes:")
    print(f"  accepted {len(asked) / accepted_s:.0f}/s, answered {len(asked) / took_s:.0f}/s ({took_s:.1f} s in all)")
    print(f"  all answered: {all(done)}; order intact: {in_order}")
    _until(lambda: not _agents(), within_s=60)
    print(f"  processes left once idle: {len(_agents())}")


def _agents_turns(session_id: str) -> list[str]:
    """What the agent was told, in the order in which it was told."""
    history = Path(os.environ["DATA_ROOT"], "pods", session_id, "history.jsonl")
    return [json.loads(line)["message"] for line in history.read_text().splitlines()]


def _agents() -> list[Path]:
    """The processes of every pod below this DATA_ROOT."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit() and str(os.environ["DATA_ROOT"]) in os.readlink(place / "cwd"):
                found.append(place)
        except OSError:
            continue
    return found


def _agent_of(session_id: str) -> tuple[str, str]:
    """The address and the secret of a running agent, from its environment."""
    (place,) = [one for one in _agents() if session_id in os.readlink(one / "cwd")]
    env = dict(item.split("=", 1) for item in (place / "environ").read_text().split("\0") if "=" in item)
    return f"http://127.0.0.1:{env['USER_POD_PORT']}", env["POD_TOKEN"]


def _created(http: httpx.Client) -> str:
    return str(_must_be(http.post("/session/create", json={"user_id": "bench"}), 201).json()["uuid"])


def _ask(http: httpx.Client, session_id: str, text: str) -> httpx.Response:
    return http.post(f"/session/{session_id}/chat", json={"message": text})


def _status(http: httpx.Client, session_id: str) -> dict[str, Any]:
    return dict(http.get(f"/session/{session_id}/status").json())


def _is_answered(http: httpx.Client, session_id: str, seq: int) -> bool:
    """Whether that message is answered, waiting a while for news."""
    query = {"after": 0, "limit": 200, "wait": 0}
    messages = http.get(f"/session/{session_id}/messages", params=query).json()["messages"]
    return any(one["seq"] == seq and one["status"] == "answered" for one in messages)


def _all_answered(http: httpx.Client, session_id: str) -> bool:
    after, answered = 0, 0
    while answered < MESSAGES_EACH:
        page = http.get(f"/session/{session_id}/messages", params={"after": after, "wait": 25}).json()
        after = page["next"]
        answered += sum(one["status"] == "answered" for one in page["messages"])
    return answered == MESSAGES_EACH


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _must_be(answer: httpx.Response, *statuses: int) -> httpx.Response:
    assert answer.status_code in statuses, answer.text
    return answer


def _timed(act: Any) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def _until(look: Any, *, within_s: float = 120.0) -> None:
    end = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _print(name: str, values: list[float]) -> None:
    middle, high = _percentile(values, 50), _percentile(values, 95)
    print(f"{name:<28}{middle:>10.1f} ms p50{high:>10.1f} ms p95   n={len(values)}")


if __name__ == "__main__":
    main()
