"""One answer from where the ball lies (ADV-22 to ADV-32, section 10), with stand-ins for solver and planner."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from prometheus_client import REGISTRY

from routing import advice
from routing.golf import golf_services, putts, shots
from routing.golf.breaker import Breaker
from routing.golf.golf_models import AdviceGiven
from sessions_app import clock, prepared
from sessions_app.models import Session
from tests.factories import make_session
from tests.routing.playing import COURSE, Golfer, at, codes, refused
from tests.routing.standins import StandIn, answering, hangs, planned, problem, resets, solved

pytestmark = pytest.mark.django_db(transaction=True)
Open = Callable[..., StandIn]


@pytest.fixture(autouse=True)
def breakers(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Services without a past, and impatient."""
    solver, planner = (replace(one, breaker=Breaker()) for one in golf_services.SERVICES)
    for module in (advice, putts):
        monkeypatch.setattr(module, "PUTT_SOLVER", solver)
    for module in (advice, shots):
        monkeypatch.setattr(module, "PLANNER", planner)
    for name in ("PUTT_SOLVER", "TEE_TO_GREEN"):
        setattr(settings, f"{name}_URL", "")
        setattr(settings, f"{name}_API_KEY", "")
        setattr(settings, f"{name}_TIMEOUT_S", 1.0)


@pytest.fixture
def stand_in(settings: Any) -> Iterator[Open]:
    """`stand_in("PUTT_SOLVER", solved())` is configured and lives to the end of the test."""
    with ExitStack() as stack:

        def open_(name: str, *answers: Any) -> StandIn:
            one = stack.enter_context(StandIn(*answers))
            setattr(settings, f"{name}_URL", one.url)
            return one

        yield open_


def stateless(golfer: Golfer, hole_id: int, x_m: float, /, **over: Any) -> Any:
    body = {"course_id": COURSE, "hole_id": hole_id, "ball_wgs84": at(hole_id, x_m), **over}
    return golfer.api.post("/api/get_hole_advice", {name: value for name, value in body.items() if value is not ...})


def test_a_ball_on_the_green_is_putted(golfer, stand_in):
    """ADV-25, ADV-29, ADV-67: the solver sees local metres, the manifest's stimp, no position and no path."""
    solver = stand_in("PUTT_SOLVER", solved())
    golfer.start(2, ball_wgs84=at(2, 5), cup_wgs84=at(2, 8))
    answer = golfer.advice(request_id="r-9")

    body = answer.json()
    assert body.pop("hole_state")["surface_state"] == "ON_GREEN"
    assert body == {
        "contract_version": "0.5.0",
        "request_id": "r-9",
        "plan_type": "PUTT",
        "plan": {
            "instruction_text": "3.0 m, plays 3.8 m, uphill 2 %. Aim at the cup centre.",
            "raw": {"dll_return_code": 0, "dll_error_text": "", "solution": {"aim_deg": 0.0, "speed_mps": 2.113}},
            "plot": {"frame": "green_local_m", "points": [{"x_m": 5.0, "y_m": 8.0}, {"x_m": 8.0, "y_m": 8.0}]},
        },
        "warnings": [],
        "next_actions": [],
    }
    assert solver.asked[0].body == {
        "contract_version": "0.5.0",
        "request_id": "r-9",
        "dtm_id": "syn_plane_20cm",
        "frame": "green_local_m",
        "ball": {"x_m": 5.0, "y_m": 8.0},
        "cup": {"x_m": 8.0, "y_m": 8.0},
        "stimp": {"ft": 10, "in": 0},
        "want_plot": True,
    }


def test_a_ball_off_the_green_is_played_to_the_cup(golfer, stand_in, settings):
    """Section 3: the planner gets the cup as the pin, and player and conditions only if configured."""
    settings.PLANNER_PLAYER_JSON = '{"player": {"handicap": 3}}'
    planner = stand_in("TEE_TO_GREEN", planned(debug={"model": "x", "gone": None}))
    golfer.start(2, ball_wgs84=at(2, -100), cup_wgs84=at(2, 8))
    body = golfer.advice(contract_version="0.6.0").json()

    assert (body["plan_type"], body["contract_version"], body["warnings"]) == ("TEE_TO_GREEN", "0.6.0", [])
    assert body["plan"] == {
        "summary": "7-iron, 140 m",
        "message": "7-iron, 140 m",
        "recommended_club": "7-iron",
        "carry_m": 133.0,
        "total_m": 140.0,
        "bearing_deg": 90.0,
        "confidence": 0.8,
        "debug": {"model": "x"},
    }
    assert planner.asked[0].body == {
        "contract_version": "0.5.0",
        "request_id": body["request_id"],
        "course_id": COURSE,
        "hole_id": 2,
        "ball_wgs84": at(2, -100),
        "pin_wgs84": at(2, 8),
        "player": {"handicap": 3},
    }


def test_the_manifests_hole_is_never_the_cup(golfer, stand_in):
    """ADV-25: without a cup no call is made on the green, and no pin is sent off it."""
    solver, planner = stand_in("PUTT_SOLVER", solved()), stand_in("TEE_TO_GREEN", planned())
    golfer.start(2, ball_wgs84=at(2, 5))
    body = golfer.advice().json()

    assert (body["plan"]["instruction_text"], body["plan"]["raw"]["dll_return_code"]) == ("", -1)
    assert [text.split(":")[0] for text in body["next_actions"]] == ["SET_CUP_LOCATION"]
    golfer.advice(ball_wgs84=at(2, -100))
    assert solver.asked == []
    assert "pin_wgs84" not in planner.asked[0].body


def test_what_the_request_gives_holds_for_the_call_only(golfer, stand_in):
    """ADV-23, ADV-24: cup, stimp and ball override; the plain candidate decides; nothing is stored."""
    solver = stand_in("PUTT_SOLVER", solved())
    golfer.start(3, ball_wgs84=at(3, 30), cup_wgs84=at(3, 8))
    before = golfer.read().json()
    answer = golfer.advice(ball_wgs84=at(3, 10), cup_wgs84=at(3, 12), stimp={"ft": 8, "in": 6}, want_plot=False)

    assert (answer.json()["plan_type"], answer.json()["hole_state"]["surface_state"]) == ("PUTT", "ON_GREEN")
    assert "ball_timestamp_utc" not in answer.json()["hole_state"]
    assert solver.asked[0].body["cup"] == {"x_m": 12.0, "y_m": 8.0}
    assert solver.asked[0].body["stimp"] == {"ft": 8, "in": 6}
    assert "plot" not in answer.json()["plan"]
    assert golfer.read().json() == before


def test_asking_a_hundred_times_changes_nothing(golfer, stand_in, settings):
    """ADV-24: equal answers, the streak stays where it was."""
    settings.RATE_ADVICE = ""
    stand_in("TEE_TO_GREEN", planned())
    golfer.start(3, ball_wgs84=at(3, 30))
    golfer.ball(10)
    before = golfer.read().json()
    answers = {golfer.advice(request_id="r-1").content for _ in range(100)}

    assert len(answers) == 1
    assert golfer.read().json() == before
    assert golfer.ball(10).json()["hole_state"]["surface_state"] == "ON_GREEN"


def test_a_call_without_a_session_stands_alone(golfer, stand_in):
    """Section 3: course, hole and ball; no session is opened."""
    stand_in("PUTT_SOLVER", solved())
    body = stateless(golfer, 2, 5, cup_wgs84=at(2, 8)).json()

    assert body["plan_type"] == "PUTT"
    assert "session_id" not in body["hole_state"]
    assert not AdviceGiven.objects.exists()


@pytest.mark.parametrize(
    ("over", "fields"),
    [
        ({"ball_wgs84": ...}, ["ball_wgs84"]),
        ({"course_id": ...}, ["course_id"]),
        ({"course_id": ..., "hole_id": ...}, ["course_id", "hole_id"]),
        ({"course_id": ..., "hole_id": ..., "ball_wgs84": ...}, ["session_id"]),
    ],
)
def test_half_a_form_is_refused(golfer, over, fields):
    """ADV-22."""
    answer = stateless(golfer, 2, 5, **over)

    assert refused(answer) == (400, "FIELD_MISSING")
    assert [one["field"] for one in answer.json()["errors"]] == fields


def test_a_session_without_a_ball_needs_one(golfer, stand_in):
    """ADV-22."""
    stand_in("PUTT_SOLVER", solved())
    golfer.start(2, cup_wgs84=at(2, 8))

    assert refused(golfer.advice()) == (400, "BALL_LOCATION_REQUIRED")
    assert golfer.advice(ball_wgs84=at(2, 5)).status_code == 200


@pytest.mark.parametrize(
    ("over", "status"), [({"hole_id": 3}, 400), ({"course_id": "x"}, 400), ({"course_id": COURSE, "hole_id": 2}, 200)]
)
def test_the_session_decides_which_hole_it_is(golfer, over, status):
    """ADV-23."""
    golfer.start(2, ball_wgs84=at(2, 5))
    answer = golfer.advice(**over)

    assert answer.status_code == status
    if status == 400:
        assert refused(answer) == (400, "SESSION_MISMATCH")


def test_an_undecided_ball_goes_to_the_solver(golfer, stand_in):
    """ADV-26: and to the planner only if the solver says it is out of bounds."""
    planner = stand_in("TEE_TO_GREEN", planned())
    stand_in("PUTT_SOLVER", solved(), problem(400, "OUT_OF_BOUNDS"), problem(400, "FIELD_INVALID"))
    over = {"cup_wgs84": at(2, 8)}
    first, second, third = (stateless(golfer, 2, 0.8, **over) for _ in range(3))

    assert first.json()["plan_type"] == "PUTT"
    assert second.json()["plan_type"] == "TEE_TO_GREEN"
    assert codes(second) == ["ROUTED_AFTER_OUT_OF_BOUNDS"]
    assert second.json()["hole_state"]["surface_state"] == "UNKNOWN"
    assert refused(third) == (400, "SOLVER_REJECTED")
    assert len(planner.asked) == 1


def test_out_of_bounds_on_the_green_is_a_refusal(golfer, stand_in):
    """ADV-26: only UNKNOWN goes on."""
    stand_in("PUTT_SOLVER", problem(400, "OUT_OF_BOUNDS"))
    answer = stateless(golfer, 2, 5, cup_wgs84=at(2, 30))

    assert refused(answer) == (400, "SOLVER_REJECTED")
    assert (answer.json()["downstream_status"], answer.json()["downstream_code"]) == (400, "OUT_OF_BOUNDS")


def test_a_solver_without_a_line_is_no_error(golfer, stand_in):
    """ADV-28: text and raw are passed on, the solver's own warnings too."""
    raw = {"dll_return_code": 2, "dll_error_text": "too steep", "solution": None, "internal": "/opt/dll"}
    stand_in("PUTT_SOLVER", solved(raw=raw, instruction_text="no line", warnings=["STEEP: careful", "junk"], error="x"))
    answer = stateless(golfer, 2, 5, cup_wgs84=at(2, 8))

    assert answer.json()["plan"]["raw"] == {"dll_return_code": 2, "dll_error_text": "too steep"}
    assert codes(answer) == ["STEEP", "SOLVER_NO_SOLUTION"]


@pytest.mark.parametrize(
    ("answer", "expected", "warning"),
    [
        (problem(404, "DTM_UNKNOWN"), (404, "SOLVER_REJECTED"), "PLANNER_REJECTED"),
        (problem(400, "FIELD_MISSING"), (400, "SOLVER_REJECTED"), "PLANNER_REJECTED"),
        (problem(401, "UNAUTHENTICATED"), (502, "SOLVER_AUTH_FAILED"), "PLANNER_AUTH_FAILED"),
        (problem(418, "TEAPOT"), (502, "SOLVER_BAD_RESPONSE"), "PLANNER_BAD_RESPONSE"),
        (answering(200, b"secret-detail"), (502, "SOLVER_BAD_RESPONSE"), "PLANNER_BAD_RESPONSE"),
        (answering(500, b"secret-detail"), (502, "SOLVER_UNAVAILABLE"), "PLANNER_UNAVAILABLE"),
        (resets, (502, "SOLVER_UNAVAILABLE"), "PLANNER_UNAVAILABLE"),
        (hangs, (504, "SOLVER_TIMEOUT"), "PLANNER_TIMEOUT"),
    ],
)
def test_failures_are_told_apart_and_tell_nothing(golfer, stand_in, answer, expected, warning):
    """Section 10, ADV-27, ADV-75: no body, header, key or URL of the other side shows."""
    one, other = stand_in("PUTT_SOLVER", answer), stand_in("TEE_TO_GREEN", answer)
    putt, shot = stateless(golfer, 2, 5, cup_wgs84=at(2, 8)), stateless(golfer, 2, -100)

    assert refused(putt) == expected
    assert (shot.status_code, codes(shot)) == (200, [warning])
    assert shot.json()["plan"] == {"summary": "Shot plan not available", "message": "Shot plan not available"}
    assert [text.split(":")[0] for text in shot.json()["next_actions"]] == ["RETRY_LATER"]
    for secret in (b"secret-detail", one.url.encode(), other.url.encode()):
        assert secret not in putt.content + shot.content


def test_a_service_left_alone_says_until_when(golfer, stand_in):
    """Section 10: CIRCUIT_OPEN with the seconds left."""
    stand_in("PUTT_SOLVER", answering(500, b""))
    stand_in("TEE_TO_GREEN", answering(500, b""))
    for _ in range(5):
        stateless(golfer, 2, 5, cup_wgs84=at(2, 8))
        stateless(golfer, 2, -100)
    putt, shot = stateless(golfer, 2, 5, cup_wgs84=at(2, 8)), stateless(golfer, 2, -100)

    assert refused(putt) == (503, "CIRCUIT_OPEN")
    assert 1 <= int(putt["Retry-After"]) <= 10
    assert codes(shot) == ["PLANNER_CIRCUIT_OPEN"]


def test_nothing_configured_is_said(golfer):
    """Section 3 and 10: 503 for a putt, a placeholder for a shot."""
    putt, shot = stateless(golfer, 2, 5, cup_wgs84=at(2, 8)), stateless(golfer, 2, -100)

    assert refused(putt) == (503, "SOLVER_NOT_CONFIGURED")
    assert putt["Retry-After"] == "60"
    assert codes(shot) == ["PLANNER_NOT_CONFIGURED"]
    assert [text.split(":")[0] for text in shot.json()["next_actions"]] == ["CONFIGURE_TEE_TO_GREEN_URL"]
    assert shot.json()["plan"]["summary"] == shot.json()["plan"]["message"]


def test_competition_mode_gives_the_distance_alone(golfer, stand_in):
    """ADV-30 to ADV-32: neither service is called, routing is unchanged."""
    solver, planner = stand_in("PUTT_SOLVER", solved()), stand_in("TEE_TO_GREEN", planned())
    started = golfer.start(2, ball_wgs84=at(2, 5), cup_wgs84=at(2, 8), competition_mode=True)
    putt, shot = golfer.advice(), golfer.advice(ball_wgs84=at(2, -100), competition_mode=True)

    assert started.json()["hole_state"]["competition_mode"] is True
    raw = {"dll_return_code": -2, "dll_error_text": "competition mode"}
    assert putt.json()["plan"] == {"instruction_text": "", "distance_m": 3.0, "raw": raw}
    summary = "Competition mode: distance only"
    assert shot.json()["plan"] == {"summary": summary, "message": summary, "distance_m": 108.0}
    assert codes(putt) == codes(shot) == ["COMPETITION_MODE"]
    assert solver.asked + planner.asked == []


def test_competition_mode_without_a_cup_has_no_distance(golfer):
    """ADV-31."""
    assert "distance_m" not in stateless(golfer, 2, 5, competition_mode=True).json()["plan"]


def test_competition_mode_holds_to_the_end_of_the_hole(golfer, stand_in, settings):
    """ADV-30: false is refused; the setting is what an absent member means."""
    stand_in("PUTT_SOLVER", solved())
    settings.COMPETITION_MODE_DEFAULT = True
    golfer.start(2, ball_wgs84=at(2, 5), cup_wgs84=at(2, 8))
    assert refused(golfer.advice(competition_mode=False)) == (403, "COMPETITION_LOCKED")
    assert golfer.advice().json()["plan"]["raw"]["dll_return_code"] == -2

    golfer.start(2, ball_wgs84=at(2, 5), cup_wgs84=at(2, 8), competition_mode=False)
    assert golfer.advice().json()["plan"]["raw"]["dll_return_code"] == 0
    assert golfer.advice(competition_mode=True).json()["plan"]["raw"]["dll_return_code"] == -2


def test_no_lock_is_held_during_a_call(golfer, stand_in):
    """ADV-73: the ball moves on while the solver thinks."""
    moved = []

    def thinking(asked):
        moved.append(golfer.ball(6).status_code)
        return solved()(asked)

    stand_in("PUTT_SOLVER", thinking)
    golfer.start(2, ball_wgs84=at(2, 5), cup_wgs84=at(2, 8))
    assert golfer.advice().status_code == 200
    assert moved == [200]


def test_advice_within_a_session_is_kept_as_history(golfer, stand_in):
    """The staff pages show it; it names no position."""
    stand_in("PUTT_SOLVER", solved(), answering(500, b""))
    golfer.start(3, ball_wgs84=at(3, 10), cup_wgs84=at(3, 8))
    golfer.ball(30)
    golfer.advice(request_id="r-1")
    golfer.advice(request_id="r-2")

    rows = list(
        AdviceGiven.objects.order_by("at").values_list(
            "request_id", "plan_type", "service", "outcome", "streak", "needed"
        )
    )
    assert rows == [
        ("r-1", "PUTT", "putt_solver", "ok", 1, 2),
        ("r-2", "PUTT", "putt_solver", "SOLVER_UNAVAILABLE", 1, 2),
    ]


def test_advice_of_a_session_that_is_not_ones_own(golfer, db):
    """ADV-11, ADV-20."""
    golfer.session_id = make_session("u2").session_id
    assert refused(golfer.advice()) == (404, "SESSION_NOT_FOUND")
    golfer.start(2)
    golfer.end()
    assert refused(golfer.advice()) == (409, "SESSION_ALREADY_CLOSED")


def test_advice_is_counted_by_plan_and_outcome(golfer):
    """ADV-74."""

    def count() -> float:
        labels = {"plan_type": "TEE_TO_GREEN", "outcome": "PLANNER_NOT_CONFIGURED"}
        return REGISTRY.get_sample_value("baton_advice_total", labels) or 0

    before = count()
    stateless(golfer, 2, -100)
    assert count() == before + 1


@pytest.mark.parametrize("name", ["ball_wgs84", "cup_wgs84"])
def test_a_position_without_a_place_on_the_grid_is_refused(golfer, name, settings, tmp_path):
    """ADV-46: ball and cup alike; its debug bundle is written all the same (ADV-76)."""
    settings.DEBUG_BUNDLE_ENABLED, settings.DEBUG_BUNDLE_DIR = True, tmp_path / "bundles"
    answer = stateless(golfer, 2, 5, **{name: {"lat": 0, "lon": 87}})

    assert refused(answer) == (400, "TRANSFORM_FAILED")
    assert len(list((tmp_path / "bundles").iterdir())) == 1


def test_a_call_that_is_refused_is_no_use_of_the_hole(golfer):
    """ADV-19: the hole lives on after accepted advice only, and that is what history shows."""
    golfer.start(2, ball_wgs84=at(2, 5))
    golfer.advice(hole_id=3)
    golfer.advice(cup_wgs84={"lat": 0, "lon": 87})

    assert not AdviceGiven.objects.exists()


def test_accepted_advice_lets_the_hole_live_on(golfer):
    """ADV-19: in time with the session's own activity."""
    with time_machine.travel(clock.now(), tick=False) as clockwork:
        golfer.start(2, ball_wgs84=at(2, -100))
        clockwork.shift(7000)
        assert golfer.advice().status_code == 200
        clockwork.shift(7000)
        assert golfer.read().status_code == 200
        assert Session.objects.get().last_activity_at == clock.now() - dt.timedelta(seconds=7000)


@pytest.mark.parametrize("backend", ["db", "memory"])
def test_advice_that_fails_is_no_use_of_the_hole(golfer, stand_in, settings, backend):
    """ADV-19, SES-54: what is answered with an error was not accepted; history tells of it all the same."""
    settings.SESSION_STORE_BACKEND = backend
    stand_in("PUTT_SOLVER", answering(500, b""))
    with time_machine.travel(clock.now(), tick=False) as clockwork:
        golfer.start(2, ball_wgs84=at(2, 5), cup_wgs84=at(2, 8))
        clockwork.shift(7000)
        assert refused(golfer.advice()) == (502, "SOLVER_UNAVAILABLE")
        assert Session.objects.get().last_activity_at == clock.now() - dt.timedelta(seconds=7000)
        clockwork.shift(300)
        assert refused(golfer.advice()) == (410, "SESSION_EXPIRED")

    assert [given.outcome for given in AdviceGiven.objects.all()] == ["SOLVER_UNAVAILABLE"]


def test_a_call_within_a_session_reads_once_and_writes_once(golfer, stand_in, monkeypatch):
    """All that a session and its hole are comes with one statement, and goes with one; nothing is looked up twice."""
    stand_in("PUTT_SOLVER", solved())
    golfer.start(2, ball_wgs84=at(2, 5), cup_wgs84=at(2, 8))
    statements: list[str] = []
    asked = prepared._asked

    def asking(text: str, values: Any, **options: Any) -> Any:
        statements.append(text)
        return asked(text, values, **options)

    monkeypatch.setattr(prepared, "_asked", asking)
    with CaptureQueriesContext(connection) as others:
        assert golfer.advice().status_code == 200

    assert [text.split()[0] for text in statements] == ["SELECT", "WITH"]
    assert not others.captured_queries
