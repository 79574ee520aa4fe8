"""One answer from where the ball lies: a putt, a shot, or only the distance (ADV-22 to ADV-32).

Advice reads the hole and never samples it. Nothing is locked while solver or planner are asked (ADV-73).
"""

from dataclasses import replace

from routing import geometry
from routing.geometry import LocalPoint
from routing.golf import golf_metrics, hole_rows, hole_store, putts, shots, situations
from routing.golf.advice_record import NO_SERVICE, AdviceRecord
from routing.golf.golf_models import AdviceGiven
from routing.golf.golf_services import PUTT_SOLVER
from routing.golf.golf_services import TEE_TO_GREEN as PLANNER
from routing.golf.hole_stores.contract import deadline
from routing.golf.plans import PUTT, TEE_TO_GREEN, Plan
from routing.golf.putts import OutOfBounds
from routing.golf.situations import Question, Situation
from routing.surface import Surface
from sessions_app import clock
from sessions_app.access.auth import Caller
from sessions_app.kinds import DomainError

COMPETITION_MODE = "COMPETITION_MODE: distances only, as the rules of golf ask during a round"
ROUTED_AFTER_OUT_OF_BOUNDS = "ROUTED_AFTER_OUT_OF_BOUNDS: the solver does not know that place, planned as a shot"
_DISTANCE_ONLY = "Competition mode: distance only"
_COMPETITION_CODE = -2


def advise(question: Question, *, by: Caller, record: AdviceRecord) -> tuple[Situation, Plan]:
    """The plan for the ball where it lies; `record` is filled in as far as the call comes.

    Raises what `situations.of` raises, and for a solver that fails SolverRejected, SolverUnknown, SolverAuthFailed,
    SolverBadResponse, SolverUnavailable, SolverTimeout, SolverNotConfigured, CircuitOpen.
    """
    record.question = question
    try:
        record.situation = situation = situations.of(question, by=by)
        plan = _plan(question, situation, record)
    except DomainError as error:
        _note(record, error.code, is_accepted=False)
        raise
    _note(record, plan.outcome, is_accepted=True)
    return situation, plan


def _plan(question: Question, situation: Situation, record: AdviceRecord) -> Plan:
    """The table of section 3, row by row."""
    is_putt, cup = situation.surface is not Surface.OFF_GREEN, situation.cup_local
    if situation.competition:
        record.routed(PUTT if is_putt else TEE_TO_GREEN, NO_SERVICE, "competition mode")
        return _distance_only(situation, cup, is_putt=is_putt)
    if not is_putt:
        record.routed(TEE_TO_GREEN, PLANNER.name if PLANNER.url else NO_SERVICE, "the ball is off the green")
        return shots.plan(question, situation, record)
    if cup is None:
        record.routed(PUTT, NO_SERVICE, "the cup is not known")
        return putts.without_cup()
    record.routed(PUTT, PUTT_SOLVER.name, f"the ball is {situation.surface}")
    try:
        return putts.plan(question, situation, cup, record)
    except OutOfBounds as refused:
        if situation.surface is not Surface.UNKNOWN:
            raise refused.rejection from refused
    record.routed(TEE_TO_GREEN, PLANNER.name if PLANNER.url else NO_SERVICE, "the solver says it is out of bounds")
    shot = shots.plan(question, situation, record)
    return replace(shot, warnings=(ROUTED_AFTER_OUT_OF_BOUNDS, *shot.warnings))


def _distance_only(situation: Situation, cup: LocalPoint | None, *, is_putt: bool) -> Plan:
    """Where the rules forbid more: no line, no club, no slope (ADV-31, ADV-32)."""
    distance = {} if cup is None else {"distance_m": round(geometry.distance_m(situation.ball_local, cup), 3)}
    if not is_putt:
        said = {"summary": _DISTANCE_ONLY, "message": _DISTANCE_ONLY}
        return Plan(TEE_TO_GREEN, {**said, **distance}, (COMPETITION_MODE,), outcome="COMPETITION_MODE")
    raw = {"dll_return_code": _COMPETITION_CODE, "dll_error_text": "competition mode"}
    return Plan(PUTT, {"instruction_text": "", **distance, "raw": raw}, (COMPETITION_MODE,), outcome="COMPETITION_MODE")


def _note(record: AdviceRecord, outcome: str, *, is_accepted: bool) -> None:
    """Count the call; one that was routed within a session becomes history, and accepted keeps the hole alive (ADV-19).

    A call that ends in an error, of a solver too, is not accepted: what answers an error has changed nothing (CON-6).
    """
    golf_metrics.ADVICE.labels(plan_type=record.plan_type or NO_SERVICE, outcome=outcome).inc()
    situation, question = record.situation, record.question
    if not record.plan_type or situation is None or situation.state is None or question is None:
        return
    store, session_id = hole_store.current(), situation.state.session_id
    given = AdviceGiven(
        session_id=session_id,
        at=clock.now(),
        request_id=question.request_id,
        course_id=situation.state.course_id,
        hole_id=situation.state.hole_id,
        surface_state=str(situation.surface),
        surface_confidence=situation.confidence,
        streak=situation.memory.streak if situation.memory else 0,
        needed=situation.memory.needed if situation.memory else 0,
        competition_mode=situation.competition,
        plan_type=record.plan_type,
        service=record.service,
        outcome=outcome,
        duration_ms=record.elapsed_ms,
    )
    hole_rows.note_advice(given, until=deadline() if is_accepted else None)
    if is_accepted and store.backend != "db":
        store.refresh(session_id)
