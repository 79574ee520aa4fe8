"""What a question for advice is about: session and request put together (ADV-22 to ADV-25, ADV-30)."""

from dataclasses import dataclass

from django.conf import settings

from routing import geometry, surface
from routing.errors import BallLocationRequired, CompetitionLocked, SessionMismatch
from routing.geometry import LocalPoint, Wgs84
from routing.golf import datasets, holes, samples
from routing.golf.datasets import Dataset
from routing.golf.hole_state import HoleState, Placed
from routing.golf.hysteresis import Memory
from routing.golf.manifest import Stimp
from routing.surface import Candidate, Surface
from sessions_app.access.auth import Caller


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: of a session, or of a hole and a ball. What is given holds for this call only."""

    request_id: str
    session_id: str | None = None
    course_id: str | None = None
    hole_id: int | None = None
    ball: Wgs84 | None = None
    cup: Wgs84 | None = None
    stimp: Stimp | None = None
    want_plot: bool = True
    competition_mode: bool | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """Where everything lies. A ball or cup without a time is the call's own.

    candidate: set where the ball is the call's own; the surface is then that candidate, without memory (ADV-24).
    """

    dataset: Dataset
    ball: Placed | Wgs84
    cup: Placed | Wgs84 | None
    stimp: Stimp | None
    surface: Surface
    confidence: float
    surface_warnings: tuple[str, ...]
    competition: bool
    state: HoleState | None = None
    candidate: Candidate | None = None

    @property
    def ball_local(self) -> LocalPoint:
        """The ball in `green_local_m`. Raises TransformFailed."""
        return geometry.to_local(position(self.ball), self.dataset.manifest.frame)

    @property
    def cup_local(self) -> LocalPoint | None:
        """The cup in `green_local_m`, when it is known. Raises TransformFailed."""
        return None if self.cup is None else geometry.to_local(position(self.cup), self.dataset.manifest.frame)

    @property
    def memory(self) -> Memory | None:
        """The hysteresis the surface comes from, if it does."""
        return self.state.memory if self.state is not None and self.candidate is None else None


def of(question: Question, *, by: Caller) -> Situation:
    """Where everything lies for this question; ball and cup have a place on the green's grid.

    Raises SessionNotFound, SessionAlreadyClosed, SessionExpired, SessionMismatch, CompetitionLocked, DatasetNotFound,
    DatasetInvalid, BallLocationRequired, TransformFailed, RegistryUnavailable, StoreUnavailable.
    """
    situation = _put_together(question, by)
    for placed in (situation.ball, situation.cup):
        if placed is not None:
            geometry.to_local(position(placed), situation.dataset.manifest.frame)
    return situation


def position(placed: Placed | Wgs84) -> Wgs84:
    """Where it is."""
    return placed.position if isinstance(placed, Placed) else placed


def _put_together(question: Question, by: Caller) -> Situation:
    if question.session_id is None:
        dataset = datasets.registry().hole(str(question.course_id), question.hole_id or 0)
        asked = question.competition_mode
        competition = settings.COMPETITION_MODE_DEFAULT if asked is None else asked
        return _with_own_ball(question, dataset, None, competition)
    playing = holes.read(question.session_id, by=by)
    state = playing.state
    _check(question, state)
    competition = state.competition_mode or bool(question.competition_mode)
    if question.ball is not None:
        return _with_own_ball(question, playing.dataset, state, competition)
    if state.ball is None:
        raise BallLocationRequired
    return Situation(
        playing.dataset,
        state.ball,
        question.cup or state.cup,
        question.stimp or state.stimp,
        state.memory.reported,
        state.memory.reported_confidence,
        state.memory.warnings,
        competition,
        state,
    )


def _check(question: Question, state: HoleState) -> None:
    """What the request says besides may not contradict the session."""
    named = (question.course_id or state.course_id, question.hole_id or state.hole_id)
    if named != (state.course_id, state.hole_id):
        raise SessionMismatch
    if state.competition_mode and question.competition_mode is False:
        raise CompetitionLocked


def _with_own_ball(question: Question, dataset: Dataset, state: HoleState | None, competition: bool) -> Situation:
    """A ball that holds for this call: its plain candidate decides."""
    if question.ball is None:
        raise BallLocationRequired
    ball = geometry.to_local(question.ball, dataset.manifest.frame)
    found = surface.candidate(dataset.green, ball, margins=samples.margins())
    return Situation(
        dataset,
        question.ball,
        question.cup or (state.cup if state else None),
        question.stimp or (state.stimp if state else None),
        found.state,
        found.confidence,
        found.warnings,
        competition,
        state,
        found,
    )
