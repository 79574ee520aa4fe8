"""The account of one call for advice: filled in step by step, read by history and debug bundle (ADV-76, ADV-78)."""

import time
from dataclasses import dataclass, field
from typing import Any

from routing.downstream import Trace
from routing.golf import golf_answers, samples
from routing.golf.situations import Question, Situation

NO_SERVICE = "none"


@dataclass(slots=True)
class AdviceRecord:
    """Parts that the call did not reach stay empty."""

    began: float = field(default_factory=time.monotonic)
    question: Question | None = None
    situation: Situation | None = None
    plan_type: str = ""
    service: str = NO_SERVICE
    reason: str = ""
    calls: dict[str, Trace] = field(default_factory=dict)

    def routed(self, plan_type: str, service: str, reason: str) -> None:
        """Note where the call goes, and why."""
        self.plan_type, self.service, self.reason = plan_type, service, reason

    def trace(self, service: str) -> Trace:
        """The account of a call to this service."""
        return self.calls.setdefault(service, Trace())

    @property
    def elapsed_ms(self) -> int:
        """Milliseconds since the call came."""
        return round((time.monotonic() - self.began) * 1000)

    def sections(self) -> dict[str, Any]:
        """The sections of a debug bundle that this call reached (advice.md section 11)."""
        return {
            **({"args": _args(self.question)} if self.question else {}),
            **(_of_situation(self.situation) if self.situation else {}),
            **({"routing": self._routing()} if self.plan_type else {}),
            **({"downstream": self._downstream()} if self.calls else {}),
            "timings_ms": self._timings(),
        }

    def _routing(self) -> dict[str, str]:
        return {"plan_type": self.plan_type, "service": self.service, "reason": self.reason}

    def _downstream(self) -> dict[str, Any]:
        trace = list(self.calls.values())[-1]
        status = {} if trace.status is None else {"status": trace.status}
        return {**status, "attempts": trace.attempts, "outcome": trace.outcome, "breaker": trace.breaker}

    def _timings(self) -> dict[str, float]:
        calls = {f"{name}_call": round(trace.seconds * 1000, 1) for name, trace in self.calls.items()}
        return {**calls, "total": float(self.elapsed_ms)}


def _args(question: Question) -> dict[str, Any]:
    return _known(
        session_id=question.session_id,
        course_id=question.course_id,
        hole_id=question.hole_id,
        ball_wgs84=golf_answers.wgs84(question.ball) if question.ball else None,
        cup_wgs84=golf_answers.wgs84(question.cup) if question.cup else None,
        want_plot=question.want_plot,
        competition_mode=question.competition_mode,
    )


def _of_situation(situation: Situation) -> dict[str, Any]:
    dataset, manifest = situation.dataset, situation.dataset.manifest
    cup = situation.cup_local
    return {
        "resolved": _known(
            dtm_id=manifest.dtm_id,
            green_id=manifest.green_id,
            dataset_version=manifest.dataset_version,
            manifest_path=dataset.manifest_path,
            grid_path=dataset.grid_path,
            grid_sha256=dataset.grid_sha256,
            manifest_sha256=dataset.manifest_sha256,
        ),
        "transforms": _known(
            epsg=manifest.frame.epsg,
            ball_local_green=golf_answers.point(situation.ball_local),
            cup_local_green=golf_answers.point(cup) if cup else None,
        ),
        "surface": _surface(situation),
    }


def _surface(situation: Situation) -> dict[str, Any]:
    found, memory, damping = situation.candidate, situation.memory, samples.damping()
    return _known(
        source=str(situation.dataset.green.source),
        candidate_state=_word((found and found.state) or (memory and memory.candidate)),
        candidate_confidence=found.confidence if found else memory and memory.candidate_confidence,
        stable_state=_word(memory and memory.stable),
        stable_confidence=memory and memory.stable_confidence,
        streak=memory and memory.streak,
        needed=memory and memory.needed,
        commit_on_streak=damping.commit_on_streak,
        commit_off_streak=damping.commit_off_streak,
        margin_m=found.margin_m if found else memory and memory.margin_m,
        notes=list(situation.surface_warnings),
    )


def _word(value: object) -> str | None:
    return str(value) if value else None


def _known(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
