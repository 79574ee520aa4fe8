"""The reference services over their contract (section 8, ADV-66, ADV-81 to ADV-89), and as processes (ADV-103)."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command

from routing.golf import datasets, reference_putts, reference_shots
from routing.golf.solver_service import PLANNER, SOLVER, Service
from tests.processes import free_port
from tests.routing.courses import load, make_course
from tests.routing.playing import COURSE, at, said

PUTT = {
    "contract_version": "0.5.0", "request_id": "r-9", "dtm_id": "syn_plane_20cm", "frame": "green_local_m",
    "ball": {"x_m": 5.0, "y_m": 8.0}, "cup": {"x_m": 8.0, "y_m": 8.0}, "stimp": {"ft": 10, "in": 0}, "want_plot": True,
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_memory() -> None:
    """Surfaces and areas are made once per process; a test may bring its own course."""
    reference_putts._surface.cache_clear()
    reference_shots._lies.cache_clear()


def shot(**over: Any) -> dict[str, Any]:
    body = {
        "contract_version": "0.5.0", "request_id": "r-10", "course_id": COURSE, "hole_id": 3,
        "ball_wgs84": at(3, -140), "pin_wgs84": at(3, 10),
    }  # fmt: skip
    return {name: value for name, value in {**body, **over}.items() if value is not ...}


def ask(
    name: str, path: str, body: Any = None, *, key: str = "", method: str = "POST", **headers: str
) -> httpx.Response:
    """One request to a service in this process."""

    async def send() -> httpx.Response:
        service: Any = Service(name, key)
        transport = httpx.ASGITransport(service)
        async with httpx.AsyncClient(transport=transport, base_url="http://solver") as client:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent = {"Content-Type": "application/json", **headers}
            return await client.request(method, path, content=content, headers=sent)

    return asyncio.run(send())


def putt(**over: Any) -> httpx.Response:
    return ask(SOLVER, "/solve_putt", {name: value for name, value in {**PUTT, **over}.items() if value is not ...})


def plan(**over: Any) -> httpx.Response:
    return ask(PLANNER, "/plan_shot", shot(**over))


def test_a_putt_is_solved_and_worded():
    """Section 3's example: the plane, uphill."""
    body = putt().json()

    assert body.pop("plot")["points"][0] == {"x_m": 5.0, "y_m": 8.0}
    assert body == {
        "contract_version": "0.5.0",
        "request_id": "r-9",
        "dtm_id": "syn_plane_20cm",
        "instruction_text": "3.0 m, plays 3.8 m, uphill 2 %. Aim at the cup centre.",
        "warnings": [],
        "raw": {
            "dll_return_code": 0,
            "dll_error_text": "",
            "solution": {
                "aim_deg": 0.0,
                "aim_offset_m": 0.0,
                "speed_mps": 2.1134,
                "time_s": 2.233,
                "distance_m": 3.0,
                "plays_like_m": 3.765,
                "capture_speed_mps": 1.63,
            },
        },
    }


def test_a_breaking_putt_names_side_and_offset():
    """ADV-83: across the plane, right of the cup for this player, offset D tan(aim)."""
    body = putt(ball={"x_m": 10, "y_m": 5}, cup={"x_m": 10, "y_m": 8}, want_plot=False, stimp=...).json()

    assert body["instruction_text"] == "3.0 m, plays 3.0 m, level. Aim 29 cm right of the cup centre."
    assert body["raw"]["solution"]["aim_offset_m"] == pytest.approx(-0.294, abs=0.001)
    assert "plot" not in body


def test_a_putt_without_a_line_says_why():
    """ADV-85: 200 with a code, a text and an error."""
    body = putt(ball={"x_m": 0.4, "y_m": 8}).json()

    assert body["raw"] == {"dll_return_code": 3, "dll_error_text": "every path leaves the valid nodes"}
    assert body["error"] == body["raw"]["dll_error_text"]
    assert "plot" not in body


def test_the_same_putt_is_answered_byte_for_byte():
    """ADV-87."""
    assert putt().content == putt().content


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"contract_version": ...}, (400, "FIELD_MISSING")),
        ({"contract_version": "0.6.0"}, (400, "UNSUPPORTED_CONTRACT_VERSION")),
        ({"frame": "wgs84"}, (400, "FIELD_INVALID")),
        ({"ball": {"x_m": 5.0}}, (400, "FIELD_MISSING")),
        ({"ball": {"x_m": "5", "y_m": 8}}, (400, "FIELD_INVALID")),
        ({"extra": 1}, (400, "FIELD_UNKNOWN")),
        ({"stimp": {"ft": 0, "in": 0}}, (400, "FIELD_INVALID")),
        ({"want_plot": 1}, (400, "FIELD_INVALID")),
        ({"request_id": "../x"}, (400, "FIELD_INVALID")),
        ({"dtm_id": "../../etc/passwd"}, (400, "FIELD_INVALID")),
        ({"dtm_id": "augusta"}, (404, "DTM_UNKNOWN")),
        ({"cup": {"x_m": 20.1, "y_m": 8}}, (400, "OUT_OF_BOUNDS")),
        ({"ball": {"x_m": -0.1, "y_m": 8}}, (400, "OUT_OF_BOUNDS")),
    ],
)
def test_the_solver_refuses_in_the_common_form(over, expected):
    """Section 8."""
    answer = putt(**over)

    assert (answer.status_code, answer.json()["code"]) == expected
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_green_without_a_grid_cannot_be_putted(tmp_path, monkeypatch):
    """ADV-44: classified, not solved."""
    make_course(tmp_path)
    (tmp_path / "baton_links/hole_2/syn_plane_20cm.txt").unlink()
    monkeypatch.setattr(datasets, "_registry", load(tmp_path))

    assert (putt().status_code, putt().json()["code"]) == (503, "GRID_UNREADABLE")


def test_a_shot_is_planned_and_worded():
    """ADV-94, ADV-101: within range, bearing near the pin's."""
    body = plan().json()

    assert (
        body["summary"]
        == f"{body['recommended_club']}: at the pin, carry {body['carry_m']:.0f} m, total {body['total_m']:.0f} m"
    )
    assert body["carry_m"] <= body["total_m"]
    assert body["bearing_deg"] == pytest.approx(90, abs=4)
    assert 0 <= body["confidence"] <= 1
    debug = body["debug"]
    assert debug["expected_strokes"] <= debug["runner_up"]["expected_strokes"]
    assert all(0 <= debug[name] <= 100 for name in ("green_pct", "fairway_pct", "penalty_pct"))
    assert debug["notes"] == []


def test_the_same_shot_differs_in_the_request_id_alone():
    """ADV-95."""
    one, other = plan().json(), plan(request_id="r-11").json()

    assert {**one, "request_id": "r-11"} == other


def test_a_missing_pin_is_assumed_and_said():
    """ADV-89."""
    assert plan(pin_wgs84=...).json()["debug"]["notes"] == [
        "PIN_ASSUMED: no pin was sent, the hole location of the manifest stands in"
    ]


def test_wind_comes_from_where_it_is_said_to():
    """ADV-92: 270 degrees is a west wind, behind a shot to the east; on hole 1 the grid is turned by 30 degrees."""
    clubs = {
        (hole, direction): plan(
            hole_id=hole,
            ball_wgs84=at(hole, -140),
            pin_wgs84=at(hole, 10),
            conditions={"wind_mph": 20, "wind_dir_deg": direction},
        ).json()["carry_m"]
        for hole, direction in ((3, 270), (3, 90), (1, 300), (1, 120))
    }

    assert clubs[3, 270] == pytest.approx(clubs[1, 300], abs=6)
    assert clubs[3, 90] == pytest.approx(clubs[1, 120], abs=6)


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"hole_id": 9}, (404, "HOLE_UNKNOWN")),
        ({"ball_wgs84": {"lat": 91, "lon": 0}}, (400, "FIELD_INVALID")),
        ({"ball_wgs84": at(3, 9)}, (400, "OUT_OF_RANGE")),
        ({"ball_wgs84": at(3, -700)}, (400, "OUT_OF_RANGE")),
        ({"player": {"handicap": 55}}, (400, "FIELD_INVALID")),
        ({"player": {"handicap": True}}, (400, "FIELD_INVALID")),
        ({"player": {"bag": {}}}, (400, "FIELD_INVALID")),
        ({"player": {"bag": {"SW": -3}}}, (400, "FIELD_INVALID")),
        ({"conditions": {"wind_mph": -1}}, (400, "FIELD_INVALID")),
        ({"conditions": []}, (400, "FIELD_INVALID")),
        ({"player": {"name": "Ann", "handicap": 3}, "conditions": {"rain": True}}, (200, None)),
        ({"player": {"bag": {"7-iron": 140}}}, (200, None)),
    ],
)
def test_the_planner_refuses_in_the_common_form(over, expected):
    """Section 8: player and conditions are open, what is known of them is checked."""
    answer = plan(**over)

    assert (answer.status_code, answer.json().get("code")) == expected


def test_a_hole_without_a_map_is_rough_with_a_green(tmp_path, monkeypatch):
    """ADV-88."""
    make_course(tmp_path, registry=lambda r: r["datasets"][2].pop("hole_geometry_path") and None)
    monkeypatch.setattr(datasets, "_registry", load(tmp_path))

    assert [text.split(":")[0] for text in plan().json()["debug"]["notes"]] == ["NO_MAP"]


def test_a_key_is_asked_for_where_there_is_one():
    """ADV-66: missing and wrong are 401, before the body is read; without one everybody is answered."""
    right = ask(SOLVER, "/solve_putt", PUTT, key="k" * 32, **{"X-API-Key": "k" * 32})
    wrong = [ask(SOLVER, "/solve_putt", b"{", key="k" * 32, **headers) for headers in ({}, {"X-API-Key": "k"})]

    assert right.status_code == 200
    assert [(one.status_code, one.json()["code"]) for one in wrong] == [(401, "UNAUTHENTICATED")] * 2


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"{}", {"Content-Type": "text/plain"}, (415, "UNSUPPORTED_MEDIA_TYPE")),
        (b" " * 65_537, {}, (413, "BODY_TOO_LARGE")),
        (b"[]", {}, (400, "MALFORMED_JSON")),
        (b'{"a": NaN}', {}, (400, "MALFORMED_JSON")),
    ],
)
def test_bodies_are_held_to_the_common_rules(body, headers, expected):
    """ADV-1."""
    answer = ask(SOLVER, "/solve_putt", body, **headers)

    assert (answer.status_code, answer.json()["code"]) == expected


def test_services_show_their_health_and_their_greens():
    """ADV-81: on each of the two, without a path."""
    for name in (SOLVER, PLANNER):
        assert ask(name, "/health", b"", method="GET").json()["dataset_count"] == 4
        assert len(ask(name, "/datasets", b"", method="GET").json()["datasets"]) == 4
    assert ask(SOLVER, "/plan_shot", shot()).status_code == 404
    assert ask(SOLVER, "/solve_putt", b"", method="GET").headers["allow"] == "POST"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_an_open_address_needs_a_key(settings, host):
    """ADV-81."""
    settings.PUTT_SOLVER_API_KEY = ""
    with pytest.raises(CommandError, match="API key"):
        call_command("serve_solvers", host=host)


@pytest.fixture
def solvers() -> Iterator[tuple[str, str]]:
    """`manage.py serve_solvers` as a process; the URLs of both services."""
    ports = free_port(), free_port()
    command = [sys.executable, "manage.py", "serve_solvers", "--putt-port", str(ports[0]), "--plan-port", str(ports[1])]
    env = {
        **os.environ,
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
        "PUTT_SOLVER_API_KEY": "",
        "TEE_TO_GREEN_API_KEY": "",
    }
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    with subprocess.Popen(command, cwd=django_settings.BASE_DIR, env=env) as process:
        try:
            _wait_for(urls, process)
            yield urls[0], urls[1]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


def _wait_for(urls: list[str], process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        try:
            assert all(httpx.get(f"{url}/health", timeout=5).status_code == 200 for url in urls)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError("the solvers do not answer")


@pytest.mark.django_db(transaction=True)
def test_the_whole_loop_on_one_machine(golfer, solvers, settings, tmp_path):
    """ADV-103: start, cup, ball, putt; 100 m west twice, shot; end; a bundle each."""
    settings.PUTT_SOLVER_URL, settings.TEE_TO_GREEN_URL = solvers
    settings.PUTT_SOLVER_API_KEY = settings.TEE_TO_GREEN_API_KEY = ""
    settings.DEBUG_BUNDLE_ENABLED, settings.DEBUG_BUNDLE_DIR = True, tmp_path / "bundles"
    golfer.start(2)
    golfer.cup(8)
    golfer.ball(5)
    putted = golfer.advice().json()
    assert putted["plan_type"] == "PUTT"
    assert putted["plan"]["raw"]["solution"]["speed_mps"] == pytest.approx(2.113, abs=0.001)

    assert [said(golfer.ball(-95))[0] for _ in range(2)] == ["ON_GREEN", "OFF_GREEN"]
    planned = golfer.advice().json()
    assert planned["plan_type"] == "TEE_TO_GREEN"
    assert planned["plan"]["bearing_deg"] == pytest.approx(90, abs=20)
    assert golfer.end().json()["session_closed"] is True
    assert len(list(settings.DEBUG_BUNDLE_DIR.iterdir())) == 2
