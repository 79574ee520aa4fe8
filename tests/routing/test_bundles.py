"""Debug bundles: what is in them, what never is, how long they stay (ADV-76 to ADV-80)."""

import json
import os
import re
import stat
import time
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from prometheus_client import REGISTRY

from routing import bundles
from sessions_app import clock
from tests.clients import Api
from tests.routing.playing import COURSE, at
from tests.routing.standins import StandIn, answering, planned, solved

pytestmark = pytest.mark.django_db
NAME = re.compile(r"\d{8}T\d{9}Z_[A-Za-z0-9][A-Za-z0-9._-]{0,63}\.json")


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.DEBUG_BUNDLE_ENABLED, settings.DEBUG_BUNDLE_DIR = True, tmp_path / "var" / "bundles"
    return settings.DEBUG_BUNDLE_DIR


def only(folder: Path) -> dict[str, Any]:
    (path,) = folder.iterdir()
    return json.loads(path.read_bytes())


def test_every_call_leaves_one_file(golfer, folder, settings):
    """ADV-76, ADV-77: named by time and request, for nobody else to read."""
    settings.PUTT_SOLVER_API_KEY = "solver-key-solver-key-solver-key"
    with StandIn(solved(plot=...)) as stand_in:
        settings.PUTT_SOLVER_URL = stand_in.url
        golfer.start(2, ball_wgs84=at(2, 5.123456789), cup_wgs84=at(2, 8))
        golfer.advice(request_id="r-9")

    (path,) = folder.iterdir()
    assert NAME.fullmatch(path.name)
    assert path.name.endswith("_r-9.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    found = json.loads(path.read_bytes())
    assert found["args"]["session_id"] == golfer.session_id
    assert found["resolved"]["manifest_path"] == "baton_links/hole_2/manifest.json"
    assert found["transforms"] == {
        "epsg": 32630,
        "ball_local_green": {"x_m": 5.123, "y_m": 8.0},
        "cup_local_green": {"x_m": 8.0, "y_m": 8.0},
    }
    assert found["surface"] == {
        "source": "mask",
        "candidate_state": "ON_GREEN",
        "candidate_confidence": 0.97,
        "stable_state": "ON_GREEN",
        "stable_confidence": 0.97,
        "streak": 0,
        "needed": 0,
        "commit_on_streak": 2,
        "commit_off_streak": 2,
        "margin_m": 0.5,
        "notes": [],
    }
    assert found["routing"] == {"plan_type": "PUTT", "service": "putt_solver", "reason": "the ball is ON_GREEN"}
    assert found["downstream"] == {"status": 200, "attempts": 1, "outcome": "ok", "breaker": "closed"}
    assert found["timings_ms"].keys() == {"putt_solver_call", "total"}
    text = path.read_text()
    for secret in (
        "u1",
        settings.PUTT_SOLVER_API_KEY,
        golfer.api.headers["Authorization"][7:],
        str(folder),
        stand_in.url,
    ):
        assert secret not in text.replace("putt_solver", "")


def test_a_bundle_has_the_plan_without_its_plot(golfer, folder, settings):
    """ADV-78 table, ADV-79: six decimals, the user by reference."""
    with StandIn(solved()) as stand_in:
        settings.PUTT_SOLVER_URL = stand_in.url
        stateless(golfer.api, 2, 5, cup_wgs84={"lat": 56.33612833712, "lon": -2.80420662612})

    found = only(folder)
    assert found["plan"]["plot_points"] == 2
    assert "plot" not in found["plan"]
    assert found["args"]["cup_wgs84"] == {"lat": 56.336128, "lon": -2.804207}
    assert re.fullmatch(r"[0-9a-f]{12}", found["user_ref"])
    assert found["surface"].keys() == {
        "source", "candidate_state", "candidate_confidence", "commit_on_streak", "commit_off_streak", "margin_m",
        "notes",
    }  # fmt: skip


def stateless(api: Api, hole_id: int, x_m: float, /, **over: Any) -> Any:
    body = {"course_id": COURSE, "hole_id": hole_id, "ball_wgs84": at(hole_id, x_m), **over}
    return api.post("/api/get_hole_advice", body)


@pytest.mark.parametrize(
    ("over", "status", "code"),
    [
        ({"hole_id": 9}, 404, "DATASET_NOT_FOUND"),
        ({"extra": 1}, 400, "FIELD_UNKNOWN"),
        ({"request_id": "../../etc/passwd"}, 400, "FIELD_INVALID"),
        ({"cup_wgs84": {"lat": 56.336128337, "lon": -2.804206626}}, 502, "SOLVER_UNAVAILABLE"),
    ],
)
def test_a_call_that_fails_leaves_one_too(golfer, folder, settings, over, status, code):
    """ADV-76: with what was known by then; ADV-77: a hostile id names no file."""
    with StandIn(answering(500, b"secret-detail")) as stand_in:
        settings.PUTT_SOLVER_URL = stand_in.url
        answer = stateless(golfer.api, 2, 5, **over)

    found = only(folder)
    assert (answer.status_code, found["status"], found["error"]["code"]) == (status, status, code)
    assert found["request_id"] == answer.json()["request_id"]
    assert ("resolved" in found, "downstream" in found) == ((True, True) if status == 502 else (False, False))
    assert "secret-detail" not in json.dumps(found)


def test_a_call_without_a_credential_leaves_none(db, folder):
    """ADV-76: authenticated calls."""
    stateless(Api(), 2, 5)

    assert not folder.exists()


def test_bundles_are_off_by_default(golfer, folder, settings):
    """ADV-76."""
    settings.DEBUG_BUNDLE_ENABLED = False
    stateless(golfer.api, 2, 5)

    assert not folder.exists()


def test_a_bundle_that_cannot_be_written_changes_nothing(golfer, folder):
    """ADV-78: it is counted."""

    def failures() -> float:
        return REGISTRY.get_sample_value("baton_debug_bundle_failures_total") or 0

    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    before = failures()

    assert stateless(golfer.api, 2, -100).status_code == 200
    assert failures() == before + 1


def test_a_large_plan_is_cut(golfer, folder, settings):
    """ADV-77: debug first, at most a million bytes."""
    with StandIn(planned(debug={"trace": "x" * 990_000})) as stand_in:
        settings.TEE_TO_GREEN_URL = stand_in.url
        assert "trace" in stateless(golfer.api, 2, -100).json()["plan"]["debug"]
        bundles.MOST_BYTES, most = 900_000, bundles.MOST_BYTES
        try:
            stateless(golfer.api, 2, -100)
        finally:
            bundles.MOST_BYTES = most

    sizes = sorted(path.stat().st_size for path in folder.iterdir())
    assert sizes[0] < 10_000
    assert sizes[1] <= 1_000_000
    cut = min(folder.iterdir(), key=lambda path: path.stat().st_size)
    assert json.loads(cut.read_bytes())["truncated"] is True


def test_two_calls_at_the_same_time_are_two_files(golfer, folder):
    """ADV-77: also with one request id in one millisecond."""
    with time_machine.travel(clock.now(), tick=False):
        for _ in range(3):
            stateless(golfer.api, 2, -100, request_id="r-1")

    assert len(list(folder.iterdir())) == 3


def make_files(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("{}")


def prune(*arguments: str, capsys: Any) -> str:
    call_command("prune_debug_bundles", *arguments)
    return capsys.readouterr().out.strip()


def test_prune_removes_the_old_then_the_oldest(folder, settings, capsys):
    """ADV-80: age by the time in the name; other names, links and folders are not touched."""
    settings.DEBUG_BUNDLE_MAX_COUNT = 2
    now = clock.stamp(clock.now()).translate(str.maketrans("", "", "-:."))
    make_files(folder, "20200101T000000000Z_r-1.json", *(f"{now}_r-{n}.json" for n in range(4)))
    make_files(
        folder, "notes.txt", "20200101T000000000Z_.json", "20200101T000000000Z_r.json.bak", ".tmp-old", ".tmp-new"
    )
    os.utime(folder / ".tmp-old", (time.time() - 3700,) * 2)
    (folder / "20200101T000000000Z_link.json").symlink_to(folder / "notes.txt")
    (folder / "20200101T000000000Z_folder.json").mkdir()

    assert prune("--dry-run", capsys=capsys) == "removed=4 kept=2"
    assert len(list(folder.iterdir())) == 12
    assert prune(capsys=capsys) == "removed=4 kept=2"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [
            f"{now}_r-2.json",
            f"{now}_r-3.json",
            "notes.txt",
            "20200101T000000000Z_.json",
            "20200101T000000000Z_r.json.bak",
            ".tmp-new",
            "20200101T000000000Z_link.json",
            "20200101T000000000Z_folder.json",
        ]
    )


def test_prune_of_nothing(folder, capsys):
    """ADV-80."""
    assert prune(capsys=capsys) == "removed=0 kept=0"
    assert prune("--json", capsys=capsys) == '{"removed":0,"kept":0}'


def test_a_write_above_the_count_prunes(golfer, folder, settings):
    """ADV-80."""
    settings.DEBUG_BUNDLE_MAX_COUNT = 3
    for _ in range(5):
        stateless(golfer.api, 2, -100)

    assert len(list(folder.iterdir())) == 3
