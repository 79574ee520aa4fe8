"""Calls of solver and planner that go wrong in every way (ADV-66 to ADV-74)."""

import base64
import threading
import time
from dataclasses import replace

import pytest
from httpcore._backends.sync import SyncStream
from prometheus_client import REGISTRY

from routing.downstream import Failure, Trace
from routing.golf.breaker import Breaker
from routing.golf.golf_services import PUTT_SOLVER, TEE_TO_GREEN
from tests.routing.standins import Answer, StandIn, answering, drips, hangs, http, planned, problem, resets, solved

BODY = {
    "request_id": "r-9",
    "dtm_id": "syn_plane_20cm",
    "frame": "green_local_m",
    "ball": {"x_m": 5.0, "y_m": 8.0},
    "cup": {"x_m": 8.0, "y_m": 8.0},
}


@pytest.fixture
def solver(settings):
    """The putt solver with a breaker of its own, at a stand-in's address."""
    settings.PUTT_SOLVER_TIMEOUT_S, settings.PUTT_SOLVER_API_KEY = 1.5, ""
    service = replace(PUTT_SOLVER, breaker=Breaker())

    def at(stand_in: StandIn):
        settings.PUTT_SOLVER_URL = stand_in.url
        return service

    return at


def outcome(service, trace: Trace | None = None) -> str:
    """`ok` or the kind of the failure."""
    try:
        service.ask(BODY, trace or Trace())
    except Failure as failure:
        return failure.kind
    return "ok"


def test_ask_posts_the_contract(solver, settings):
    """ADV-66, OPS-51: path, version, key exactly when there is one, the request id in body and header."""
    with StandIn(solved()) as stand_in:
        service = solver(stand_in)
        service.ask(BODY, Trace())
        settings.PUTT_SOLVER_API_KEY = "k" * 32
        service.ask(BODY, Trace())

    plain, keyed = stand_in.asked
    assert (plain.path, plain.body) == ("/solve_putt", {"contract_version": "0.5.0", **BODY})
    assert (plain.headers["x-request-id"], plain.headers["content-type"]) == ("r-9", "application/json")
    assert "x-api-key" not in plain.headers
    assert keyed.headers["x-api-key"] == "k" * 32


@pytest.mark.parametrize("ending", ["/base?tenant=1", "/base/?tenant=1"])
def test_the_path_comes_before_the_query_of_the_url(solver, settings, ending):
    """ADV-37, ADV-66: a URL may have a path and a query of its own."""
    with StandIn(solved()) as stand_in:
        service = solver(stand_in)
        settings.PUTT_SOLVER_URL += ending
        service.ask(BODY, Trace())

    assert stand_in.asked[0].path == "/base/solve_putt?tenant=1"


def test_the_user_of_the_url_signs_in(solver, settings):
    """ADV-37: a URL may name a user; the request line and the Host never do."""
    with StandIn(solved()) as stand_in:
        service = solver(stand_in)
        settings.PUTT_SOLVER_URL = stand_in.url.replace("//", "//golf:p%40ss@")
        service.ask(BODY, Trace())

    asked = stand_in.asked[0]
    assert asked.headers["authorization"] == f"Basic {base64.b64encode(b'golf:p@ss').decode()}"
    assert (asked.path, asked.headers["host"]) == ("/solve_putt", stand_in.url.removeprefix("http://"))


def test_a_request_leaves_in_one_piece(solver, monkeypatch):
    """Head and body together: nobody is woken for half a request, on a kept connection neither."""
    pieces: list[bytes] = []
    write = SyncStream.write

    def writing(stream: SyncStream, data: bytes, *timeout: float) -> None:
        pieces.append(data)
        write(stream, data, *timeout)

    monkeypatch.setattr(SyncStream, "write", writing)
    with StandIn(solved()) as stand_in:
        service = solver(stand_in)
        service.ask(BODY, Trace())
        service.ask(BODY, Trace())

    assert [piece.startswith(b"POST ") and piece.endswith(b"}") for piece in pieces] == [True, True]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(400, "OUT_OF_BOUNDS"), "rejected"),
        (problem(404, "DTM_UNKNOWN"), "rejected"),
        (problem(401, "UNAUTHENTICATED"), "auth_failed"),
        (problem(403, "FORBIDDEN"), "auth_failed"),
        (problem(418, "TEAPOT"), "bad_response"),
        (problem(500, "INTERNAL"), "unavailable"),
        (answering(301, b"", Location="http://127.0.0.1:1/"), "bad_response"),
        (answering(200, b"not json"), "bad_response"),
        (answering(200, b'{"raw": NaN}'), "bad_response"),
        (answering(200, b"[]"), "bad_response"),
        (answering(200, b""), "bad_response"),
        (answering(200, b" " * 1_048_577), "bad_response"),
        (answering(200, b"x", **{"Content-Encoding": "gzip"}), "bad_response"),
        (lambda asked: b"garbage\r\n\r\n", "unavailable"),
        (resets, "unavailable"),
        (hangs, "timeout"),
        (drips, "timeout"),
        (solved(request_id="r-8"), "bad_response"),
        (solved(dtm_id="syn_flat_20cm"), "bad_response"),
        (solved(contract_version="0.6.0"), "bad_response"),
        (solved(raw=...), "bad_response"),
        (solved(raw={"dll_return_code": "0", "dll_error_text": ""}), "bad_response"),
        (solved(raw={"dll_return_code": True, "dll_error_text": ""}), "bad_response"),
        (solved(instruction_text=None), "bad_response"),
        (solved(warnings=["ok", 7]), "bad_response"),
        (solved(plot={"frame": "green_local_m", "points": [{"x_m": 1, "y_m": "2"}] * 2}), "bad_response"),
        (solved(plot=None, error=None, stranger={"a": 1}), "ok"),
    ],
)
def test_every_answer_has_its_kind(solver, answer: Answer, kind):
    """Section 10, ADV-68, ADV-71: hanging, lying, garbage, 500, 401, huge, packed, redirecting."""
    with StandIn(answer) as stand_in:
        assert outcome(solver(stand_in)) == kind


@pytest.mark.parametrize("answer", [hangs, drips])
def test_the_deadline_holds_over_everything(solver, settings, answer: Answer):
    """ADV-69: 0.3 s in all; no retry after a read timeout (ADV-70)."""
    settings.PUTT_SOLVER_TIMEOUT_S = 0.3
    trace = Trace()
    with StandIn(answer) as stand_in:
        outcome(solver(stand_in), trace)

    assert 0.3 <= trace.seconds < 1.5
    assert trace.attempts == 1


def test_a_refused_connection_is_tried_three_times(solver):
    """ADV-70: after 0.1 s and 0.3 s."""
    stand_in, trace = StandIn(solved()), Trace()
    stand_in._listener.close()

    assert outcome(solver(stand_in), trace) == "unavailable"
    assert trace.attempts == 3
    assert 0.3 <= trace.seconds < 1.5


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_busy_service_is_asked_once_more(solver, status):
    """ADV-70: with the same request id."""
    trace = Trace()
    with StandIn(answering(status, b""), solved()) as stand_in:
        assert outcome(solver(stand_in), trace) == "ok"
    assert (trace.attempts, trace.status) == (2, 200)
    assert len({asked.body["request_id"] for asked in stand_in.asked}) == 1

    with StandIn(answering(status, b"")) as stand_in:
        assert outcome(solver(stand_in), trace := Trace()) == "unavailable"
    assert (trace.attempts, trace.status) == (2, status)


@pytest.mark.parametrize("answer", [problem(500, "INTERNAL"), problem(400, "X"), problem(429, "X"), resets])
def test_nothing_else_is_repeated(solver, answer: Answer):
    """ADV-70 and its clarification: a reset after sending is not."""
    trace = Trace()
    with StandIn(answer) as stand_in:
        outcome(solver(stand_in), trace)

    assert trace.attempts == len(stand_in.asked) == 1


def test_a_service_that_fails_is_left_alone(solver):
    """ADV-72: no call is made while the breaker is open."""
    with StandIn(problem(500, "INTERNAL")) as stand_in:
        service = solver(stand_in)
        kinds = [outcome(service) for _ in range(7)]
        with pytest.raises(Failure) as left:
            service.ask(BODY, Trace())

    assert kinds == ["unavailable"] * 5 + ["circuit_open"] * 2
    assert len(stand_in.asked) == 5
    assert 1 <= (left.value.retry_after_s or 0) <= 10


def test_refusals_never_open_the_breaker(solver):
    """ADV-72: 4xx does not count, 401 and an unforeseen one neither."""
    answers = [problem(status, "X") for status in (400, 401, 404, 418, 429) * 2]
    with StandIn(*answers) as stand_in:
        service = solver(stand_in)
        for _ in answers:
            outcome(service)

    assert (service.breaker.state, len(stand_in.asked)) == ("closed", 10)


def test_calls_do_not_wait_for_each_other(solver):
    """ADV-68: one client carries many calls at once."""

    def slow(asked):
        time.sleep(0.4)
        return solved()(asked)

    with StandIn(slow) as stand_in:
        service, kinds = solver(stand_in), []
        threads = [threading.Thread(target=lambda: kinds.append(outcome(service))) for _ in range(8)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert kinds == ["ok"] * 8
    assert time.monotonic() - began < 1.5


def test_proxies_of_the_environment_are_ignored(solver, monkeypatch):
    """ADV-68."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with StandIn(solved()) as stand_in:
        assert outcome(solver(stand_in)) == "ok"


def test_the_planner_has_its_own_contract(settings):
    """Section 8: strangers are ignored, ranges are not."""
    body = {"request_id": "r-1", "course_id": "baton_links", "hole_id": 3, "ball_wgs84": {"lat": 1.0, "lon": 2.0}}
    service = replace(TEE_TO_GREEN, breaker=Breaker())
    for answer, expected in (
        (planned(more=1), "ok"),
        (planned(confidence=1.1), "bad_response"),
        (planned(carry_m=-1), "bad_response"),
        (planned(bearing_deg=359.9), "ok"),
        (planned(bearing_deg=360), "bad_response"),  # ADV-4
        (planned(summary=...), "bad_response"),
        (planned(debug=[]), "bad_response"),
        (planned(target_wgs84={"lat": 91, "lon": 0}), "bad_response"),
    ):
        with StandIn(answer) as stand_in:
            settings.TEE_TO_GREEN_URL = stand_in.url
            try:
                service.ask(body, Trace())
                kind = "ok"
            except Failure as failure:
                kind = failure.kind
        assert kind == expected
        assert stand_in.asked[0].path == "/plan_shot"


def test_calls_are_counted_without_ids(solver):
    """ADV-74: histogram, retries, breaker; label values are service and outcome."""

    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, {"service": "putt_solver", **labels}) or 0

    timeouts = value("baton_downstream_seconds_count", outcome="unavailable")
    retries = value("baton_downstream_retries_total")
    with StandIn(answering(503, b"")) as stand_in:
        service = solver(stand_in)
        for _ in range(5):
            outcome(service)

    assert value("baton_downstream_seconds_count", outcome="unavailable") == timeouts + 5
    assert value("baton_downstream_retries_total") == retries + 5
    assert value("baton_downstream_breaker_open") == 1


def test_health_knows_when_a_service_last_answered(solver):
    """ADV-37: last_ok_age_s of this process."""
    with StandIn(lambda asked: http(200, b"")) as stand_in:
        outcome(solver(stand_in))
    with StandIn(solved()) as stand_in:
        service = solver(stand_in)
        outcome(service)

    assert service.last_ok_age_s() < 5
