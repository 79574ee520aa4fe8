"""A plan on the green: what the putt solver is asked, and what becomes of its answer (ADV-26, ADV-28, section 10)."""

import re
from typing import Any

from routing.downstream import Failure
from routing.errors import (
    CircuitOpen,
    SolverAuthFailed,
    SolverBadResponse,
    SolverNotConfigured,
    SolverRejected,
    SolverTimeout,
    SolverUnavailable,
    SolverUnknown,
)
from routing.geometry import LocalPoint
from routing.golf import golf_answers
from routing.golf.advice_record import AdviceRecord
from routing.golf.golf_services import PUTT_SOLVER
from routing.golf.plans import PUTT, Plan
from routing.golf.situations import Question, Situation
from sessions_app.kinds import DomainError

NO_CUP = "SET_CUP_LOCATION: set the cup location to get a line"
_CUP_UNKNOWN_CODE = -1
_WARNING = re.compile(r"[A-Z][A-Z0-9_]*: [^\n]{1,500}")
_FAILURES: dict[str, type[DomainError]] = {
    "auth_failed": SolverAuthFailed,
    "bad_response": SolverBadResponse,
    "unavailable": SolverUnavailable,
    "timeout": SolverTimeout,
}


class OutOfBounds(Exception):
    """The solver says that the ball or the cup is not on its green; `rejection` is the problem that makes elsewhere."""

    def __init__(self, rejection: DomainError) -> None:
        super().__init__(rejection.detail)
        self.rejection = rejection


def without_cup() -> Plan:
    """No line can be had, and what to do about it."""
    raw = {"dll_return_code": _CUP_UNKNOWN_CODE, "dll_error_text": "the cup location is not known"}
    return Plan(PUTT, {"instruction_text": "", "raw": raw}, next_actions=(NO_CUP,), outcome="NO_CUP")


def plan(question: Question, situation: Situation, cup: LocalPoint, record: AdviceRecord) -> Plan:
    """The solver's line. Raises OutOfBounds, SolverNotConfigured, CircuitOpen and the other Solver errors."""
    if not PUTT_SOLVER.url:
        raise SolverNotConfigured
    stimp = situation.stimp or situation.dataset.manifest.stimp
    body = {
        "request_id": question.request_id,
        "dtm_id": situation.dataset.manifest.dtm_id,
        "frame": "green_local_m",
        "ball": golf_answers.point(situation.ball_local),
        "cup": golf_answers.point(cup),
        "stimp": stimp.as_json(),
        "want_plot": question.want_plot,
    }
    try:
        answer = PUTT_SOLVER.ask(body, record.trace(PUTT_SOLVER.name))
    except Failure as failure:
        raise _problem(failure) from failure
    return _of(answer, want_plot=question.want_plot)


def _of(answer: dict[str, Any], *, want_plot: bool) -> Plan:
    """The answer's members that the contract knows; strangers stay behind."""
    raw = {
        name: answer["raw"][name] for name in ("dll_return_code", "dll_error_text", "solution") if name in answer["raw"]
    }
    members: dict[str, Any] = {"instruction_text": answer["instruction_text"], "raw": raw}
    if want_plot and "plot" in answer:
        points = [golf_answers.point(LocalPoint(one["x_m"], one["y_m"])) for one in answer["plot"]["points"]]
        members["plot"] = {"frame": "green_local_m", "points": points}
    warnings = tuple(text for text in answer["warnings"] if _WARNING.fullmatch(text))
    if raw["dll_return_code"] == 0:
        return Plan(PUTT, members, warnings)
    unsolved = f"SOLVER_NO_SOLUTION: the solver found no line, code {raw['dll_return_code']}"
    return Plan(PUTT, members, (*warnings, unsolved), outcome="SOLVER_NO_SOLUTION")


def _problem(failure: Failure) -> Exception:
    """The problem a failed call is (section 10); nothing of the other side but its status and code shows."""
    if failure.kind == "circuit_open":
        return CircuitOpen(retry_after=failure.retry_after_s)
    if failure.kind != "rejected":
        return _FAILURES[failure.kind]()
    members: dict[str, Any] = {"downstream_status": failure.status}
    if failure.code is not None:
        members["downstream_code"] = failure.code
    if failure.status == 404:
        return SolverUnknown(**members)
    rejection = SolverRejected(**members)
    return OutOfBounds(rejection) if failure.code == "OUT_OF_BOUNDS" else rejection
