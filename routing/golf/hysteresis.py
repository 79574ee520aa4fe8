"""Why the reported surface does not flicker: one step of memory per ball sample (ADV-53 to ADV-62). Pure."""

import datetime as dt
from dataclasses import dataclass, replace

from routing.geometry import LocalPoint, distance_m
from routing.surface import Candidate, Surface

DUPLICATE_SAMPLE = "DUPLICATE_SAMPLE: this sample was counted before"
STALE_SAMPLE = "STALE_SAMPLE: an older sample than the last one, not counted"
SURFACE_BAND = "SURFACE_BAND: too near the edge to decide, the surface is held"
SURFACE_JUMP = "SURFACE_JUMP: the ball moved faster than a walk or a cart, more samples are needed"

_NEEDED_AFTER_JUMP = 3  # ADV-61


@dataclass(frozen=True, slots=True)
class Damping:
    """How many agreeing samples a change takes, and when samples do not belong together (`SURFACE_*`)."""

    commit_on_streak: int = 2
    commit_off_streak: int = 2
    gap_s: float = 30.0
    max_speed_mps: float = 15.0

    def needed(self, towards: Surface) -> int:
        """Consecutive candidates it takes to commit `towards`; 1 means no hysteresis."""
        return self.commit_on_streak if towards is Surface.ON_GREEN else self.commit_off_streak


@dataclass(frozen=True, slots=True)
class Sample:
    """One ball position that counts: where, and when the client says it was there."""

    ball: LocalPoint
    at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What a hole remembers of its samples; `reported_*` is what the last one answered and what advice goes by.

    streak: consecutive decisive candidates opposite to `stable`; needed: how many of them commit.
    last_timed_at: the newest timestamp any sample had, whether or not the last one had one.
    """

    stable: Surface | None = None
    stable_confidence: float = 0.0
    reported: Surface = Surface.UNKNOWN
    reported_confidence: float = 0.0
    candidate: Surface | None = None
    candidate_confidence: float = 0.0
    margin_m: float | None = None
    streak: int = 0
    needed: int = 0
    last: Sample | None = None
    last_timed_at: dt.datetime | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What a sample did: the memory after it, and the surface it committed, if it did."""

    memory: Memory
    committed: Surface | None = None


def refusal(memory: Memory, at: dt.datetime | None) -> str | None:
    """The warning under which a sample with this timestamp is not counted, or None when it is (ADV-57, ADV-58)."""
    if at is None or memory.last_timed_at is None or at > memory.last_timed_at:
        return None
    return DUPLICATE_SAMPLE if at == memory.last_timed_at else STALE_SAMPLE


def step(memory: Memory, candidate: Candidate, sample: Sample, *, damping: Damping) -> Step:
    """Take one sample into the memory and say what is reported now."""
    seen = replace(
        memory,
        candidate=candidate.state,
        candidate_confidence=candidate.confidence,
        margin_m=candidate.margin_m,
        last=sample,
        last_timed_at=sample.at or memory.last_timed_at,
    )
    if memory.stable in (None, Surface.UNKNOWN) or candidate.state is memory.stable:
        return _adopt(seen, candidate)
    if not candidate.is_decisive:
        return Step(_held(seen, candidate, streak=0, needed=0, warnings=(SURFACE_BAND,)))
    return _count(memory, seen, candidate, sample, damping)


def _count(memory: Memory, seen: Memory, candidate: Candidate, sample: Sample, damping: Damping) -> Step:
    """The candidate is the opposite of what is stable: one more towards a commit."""
    earlier = 0 if _gap_s(memory.last, sample) > damping.gap_s else memory.streak
    needed = max(damping.needed(candidate.state), memory.needed if earlier else 0)
    warnings: tuple[str, ...] = ()
    if _speed_mps(memory.last, sample) > damping.max_speed_mps:
        needed, warnings = max(needed, _NEEDED_AFTER_JUMP), (SURFACE_JUMP,)
    streak = earlier + 1
    if streak >= needed:
        return _adopt(seen, candidate, warnings)
    held = f"SURFACE_HELD: candidate {candidate.state} {streak}/{needed}"
    return Step(_held(seen, candidate, streak=streak, needed=needed, warnings=(held, *warnings)))


def _adopt(seen: Memory, candidate: Candidate, warnings: tuple[str, ...] = ()) -> Step:
    changed = candidate.state is not seen.stable and candidate.is_decisive
    adopted = replace(
        seen,
        stable=candidate.state,
        stable_confidence=candidate.confidence,
        reported=candidate.state,
        reported_confidence=candidate.confidence,
        streak=0,
        needed=0,
        warnings=(*candidate.warnings, *warnings),
    )
    return Step(adopted, candidate.state if changed else None)


def _held(seen: Memory, candidate: Candidate, *, streak: int, needed: int, warnings: tuple[str, ...]) -> Memory:
    """A hold never changes the stored confidence of the stable state (ADV-54)."""
    return replace(
        seen,
        reported=seen.stable or Surface.UNKNOWN,
        reported_confidence=min(seen.stable_confidence, candidate.confidence),
        streak=streak,
        needed=needed,
        warnings=(*candidate.warnings, *warnings),
    )


def _gap_s(last: Sample | None, sample: Sample) -> float:
    """Seconds between two samples that both have timestamps, else 0: without them no gap rule holds (ADV-62)."""
    if last is None or last.at is None or sample.at is None:
        return 0.0
    return (sample.at - last.at).total_seconds()


def _speed_mps(last: Sample | None, sample: Sample) -> float:
    """Implied plan speed between two samples that both have timestamps, else 0."""
    gap_s = _gap_s(last, sample)
    return distance_m(last.ball, sample.ball) / gap_s if last is not None and gap_s > 0 else 0.0
