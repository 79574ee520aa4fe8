"""What `/health` says of golf (ADV-35 to ADV-37, OPS-29), with a Redis that is not there or goes away."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from routing.golf import datasets, golf_health, hole_store
from routing.golf.datasets import Registry
from routing.golf.golf_services import PUTT_SOLVER
from tests.clients import Api
from tests.processes import RedisServer, WebProcess
from tests.routing.courses import load, make_course
from tests.routing.playing import Golfer, at, refused, said

pytestmark = pytest.mark.django_db
NOBODY = "redis://:secret-password@127.0.0.1:1/0?health_check_interval=7331"


def health() -> Any:
    return Api().get("/health")


def test_health_shows_greens_store_services_and_bundles(settings):
    """ADV-37: all members, whether or not anything is configured."""
    for prefix in ("PUTT_SOLVER", "TEE_TO_GREEN"):
        setattr(settings, f"{prefix}_URL", "")
        setattr(settings, f"{prefix}_API_KEY", "")
    settings.PUTT_SOLVER_URL, settings.PUTT_SOLVER_API_KEY = "http://u:secret@127.0.0.1:7071/x?k=secret", "secret"
    answer = health()

    body = answer.json()
    assert (answer.status_code, body["status"], body["warnings"]) == (200, "healthy", [])
    assert body["dataset_registry_loaded"] is True
    assert body["dataset_count"] == 4
    assert body["dataset_registry"] == {"loaded": True, "count": 4, "invalid": []}
    assert body["session_store"] == {
        "backend": "db",
        "requested_backend": "db",
        "fallback": False,
        "durable": True,
        "ttl_seconds": 7200,
    }
    body["services"]["tee_to_green"].pop("last_ok_age_s", None)  # this process may have asked one before
    assert body["services"]["tee_to_green"] == {"enabled": False, "api_key_configured": False, "breaker": "closed"}
    solver = body["services"]["putt_solver"]
    assert (solver["enabled"], solver["base_url"]) == (True, "http://127.0.0.1:7071/x")
    assert body["debug_bundle"] == {"enabled": False}
    assert b"secret" not in answer.content


def test_a_redis_that_is_dead_at_start_is_replaced_by_memory(settings):
    """ADV-35, OPS-29: degraded, 200, the same sentence twice, and the game goes on."""
    settings.SESSION_STORE_BACKEND, settings.SESSION_STORE_REDIS_URL = "redis", NOBODY
    answer = health()

    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "degraded")
    store = body["session_store"]
    assert (store["backend"], store["requested_backend"], store["fallback"], store["durable"]) == (
        "memory",
        "redis",
        True,
        False,
    )
    assert store["warning"].startswith("SESSION_STORE_FALLBACK: ")
    assert body["warnings"] == [store["warning"]]
    assert b"secret" not in answer.content
    assert b"7331" not in answer.content


def test_without_fallback_a_dead_redis_stops_the_boot(settings):
    """ADV-35."""
    settings.SESSION_STORE_BACKEND, settings.SESSION_STORE_REDIS_URL = "redis", NOBODY
    settings.SESSION_STORE_FALLBACK = False

    with pytest.raises(ImproperlyConfigured, match="SESSION_STORE_FALLBACK"):
        hole_store.current()


def test_redis_in_use_shows_where_it_is(settings):
    """ADV-37."""
    settings.SESSION_STORE_BACKEND = "redis"
    store = health().json()["session_store"]

    assert store["backend"] == "redis"
    assert store["redis_url"].startswith("redis://")
    assert (store["key_prefix"], store["redis_ping"]) == (settings.REDIS_SESSION_PREFIX, True)
    assert "warning" not in store


def test_an_unreadable_registry_degrades(monkeypatch):
    """ADV-40, OPS-29: golf calls are 503, the rest works."""
    monkeypatch.setattr(datasets, "_registry", Registry(error="the registry is missing"))
    body = health().json()

    assert (body["status"], body["dataset_registry_loaded"]) == ("degraded", False)
    assert body["dataset_registry"] == {"loaded": False, "count": 0, "invalid": [], "error": "the registry is missing"}
    assert [text.split(":")[0] for text in body["warnings"]] == ["DATASET_REGISTRY_UNREADABLE"]


def test_invalid_greens_are_named(monkeypatch, tmp_path):
    """Clarification of ADV-37: one dtm_id per refused entry; counts are of usable ones."""
    monkeypatch.setattr(datasets, "_registry", load(make_course(tmp_path, plane=lambda m: m.pop("grid"))))
    body = health().json()

    assert (body["dataset_count"], body["dataset_registry"]["invalid"]) == (3, ["syn_plane_20cm"])


def test_an_open_breaker_degrades(monkeypatch):
    """OPS-29."""
    for _ in range(5):
        PUTT_SOLVER.breaker.fail()
    try:
        assert [text.split(":")[0] for text in golf_health.warnings()] == ["BREAKER_OPEN"]
    finally:
        PUTT_SOLVER.breaker.succeed()


def test_golf_without_a_registry_is_unavailable(api, monkeypatch):
    """ADV-40."""
    monkeypatch.setattr(datasets, "_registry", Registry(error="x"))

    assert refused(Golfer(api).start()) == (503, "REGISTRY_UNAVAILABLE")
    assert refused(api.get("/api/datasets")) == (503, "REGISTRY_UNAVAILABLE")


def test_an_invalid_green_is_a_broken_installation(api, monkeypatch, tmp_path):
    """ADV-15: 500; other holes work."""
    monkeypatch.setattr(datasets, "_registry", load(make_course(tmp_path, plane=lambda m: m.pop("grid"))))

    assert refused(Golfer(api).start(2)) == (500, "DATASET_INVALID")
    assert Golfer(api).start(3).status_code == 200


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.kill()
    server.client.close()


@pytest.mark.django_db(transaction=True)
def test_a_redis_that_dies_is_an_outage_and_nothing_else(golfer, settings, own_redis):
    """ADV-20, ADV-36: 503 with Retry-After, no memory instead; back again, the next request works."""
    settings.SESSION_STORE_BACKEND, settings.SESSION_STORE_REDIS_URL = "redis", own_redis.url
    golfer.start(2)
    own_redis.kill()
    for answer in (
        golfer.read(),
        golfer.ball(5),
        golfer.cup(5),
        golfer.end(),
        golfer.advice(),
        Golfer(golfer.api).start(3),
    ):
        assert refused(answer) == (503, "STORE_UNAVAILABLE")
        assert answer["Retry-After"] == "5"
    assert health().json()["session_store"]["backend"] == "redis"

    own_redis.start()
    fresh = Golfer(golfer.api)
    assert fresh.start(3).status_code == 200
    assert fresh.ball(10).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_web_process_refuses_to_boot_without_its_store(settings):
    """ADV-35: `SESSION_STORE_FALLBACK=false`."""
    env = {"SESSION_STORE_BACKEND": "redis", "SESSION_STORE_REDIS_URL": NOBODY, "SESSION_STORE_FALLBACK": "false"}
    ran = subprocess.run(
        [sys.executable, "-m", "config.server"],
        cwd=django_settings.BASE_DIR,
        env=WebProcess(**env).env,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode != 0
    assert b"SESSION_STORE" in ran.stdout + ran.stderr
    assert b"secret-password" not in ran.stdout + ran.stderr


@pytest.mark.parametrize("backend", ["db", "redis"])
@pytest.mark.django_db(transaction=True)
def test_two_processes_move_one_ball(golfer, backend, settings, monkeypatch):
    """ADV-64, ADV-104: the worked sequence, requests alternating between this process and another.

    On rows both begin anew in the middle.
    """
    settings.SESSION_STORE_BACKEND = backend
    golfer.start(3, ball_wgs84=at(3, 10))
    steps = [20, 18.8, 20, 30, 10, 18]
    reported = []
    for part in (steps[:3], steps[3:]) if backend == "db" else (steps,):
        monkeypatch.setattr(hole_store, "_chosen", None)
        with WebProcess(SESSION_STORE_BACKEND=backend) as other:
            for n, x_m in enumerate(part):
                reported.append(said(golfer.ball(x_m) if n % 2 else _moved(other, golfer, x_m)))
            asked = {"session_id": golfer.session_id}
            there = other.post("/api/get_hole_advice", asked, **golfer.api.headers).json()
            assert there["hole_state"] == golfer.advice().json()["hole_state"]

    assert reported == [
        ("ON_GREEN", 0.95),
        ("ON_GREEN", 0.60),
        ("ON_GREEN", 0.95),
        ("OFF_GREEN", 0.95),
        ("OFF_GREEN", 0.95),
        ("ON_GREEN", 0.97),
    ]


def _moved(process: WebProcess, golfer: Golfer, x_m: float) -> Any:
    """The ball of the golfer's hole moved through another process."""
    body = {"session_id": golfer.session_id, "ball_wgs84": at(3, x_m)}
    return process.post("/api/session/set_ball_location", body, **golfer.api.headers)
