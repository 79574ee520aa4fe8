"""A plan off the green: what the shot planner is asked, and what becomes of its answer (ADV-27, section 10)."""

import json
from typing import Any

from django.conf import settings

from routing.downstream import Failure
from routing.golf import golf_answers
from routing.golf.advice_record import AdviceRecord
from routing.golf.golf_services import TEE_TO_GREEN as PLANNER
from routing.golf.plans import TEE_TO_GREEN, Plan
from routing.golf.situations import Question, Situation, position

_MEMBERS = ("recommended_club", "carry_m", "total_m", "bearing_deg", "target_wgs84", "confidence", "debug")
_REASONS = {
    "rejected": "PLANNER_REJECTED: the planner refused the shot",
    "auth_failed": "PLANNER_AUTH_FAILED: the planner refused this server's key",
    "bad_response": "PLANNER_BAD_RESPONSE: the planner's answer breaks its contract",
    "unavailable": "PLANNER_UNAVAILABLE: the planner does not answer",
    "timeout": "PLANNER_TIMEOUT: the planner took too long",
    "circuit_open": "PLANNER_CIRCUIT_OPEN: the planner failed too often and is left alone for some seconds",
}


def plan(question: Question, situation: Situation, record: AdviceRecord) -> Plan:
    """The planner's shot, or a plan that says why there is none; a missing shot is no error (ADV-27)."""
    if not PLANNER.url:
        return _without(
            "Shot planner not configured",
            "PLANNER_NOT_CONFIGURED: no shot planner is configured",
            "CONFIGURE_TEE_TO_GREEN_URL: set TEE_TO_GREEN_URL on the server",
        )
    manifest = situation.dataset.manifest
    body: dict[str, Any] = {
        "request_id": question.request_id,
        "course_id": manifest.course_id,
        "hole_id": manifest.hole_id,
        "ball_wgs84": golf_answers.wgs84(position(situation.ball)),
        **({"pin_wgs84": golf_answers.wgs84(position(situation.cup))} if situation.cup else {}),
        **json.loads(settings.PLANNER_PLAYER_JSON or "{}"),
    }
    try:
        answer = PLANNER.ask(body, record.trace(PLANNER.name))
    except Failure as failure:
        return _without("Shot plan not available", _REASONS[failure.kind], "RETRY_LATER: ask again in a while")
    known = {name: answer[name] for name in _MEMBERS if name in answer}
    return Plan(TEE_TO_GREEN, {**_said(answer["summary"]), **known})


def _without(summary: str, warning: str, next_action: str) -> Plan:
    return Plan(TEE_TO_GREEN, _said(summary), (warning,), (next_action,), outcome=warning.split(":")[0])


def _said(summary: str) -> dict[str, str]:
    return {"summary": summary, "message": summary}  # `message` is what older clients read
