"""The reference putt solver: aim and speed that bring a ball through the cup's centre (ADV-83 to ADV-87). Pure.

All speeds are those of a rolling ball, not of the club head or of the first skid. Angles are counter-clockwise.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from routing.geometry import LocalPoint, distance_m
from routing.golf.solvers import rolling
from routing.golf.solvers.relief import Floats, Relief
from routing.golf.solvers.rolling import Family, Fate

CAPTURE_SPEED_MPS = 1.63  # dead centre, rim effects included (Holmes 1991); by free fall alone it is 1.313
_NEAREST_M = 0.02
# The longest steps along a path, to find it and to look for it, by the noise of the survey up to which they do.
_STEPS_M = ((0.0002, 0.2, 0.6), (0.003, 0.1, 0.2), (math.inf, 0.05, 0.2))
_GROWTH = 0.35
_LONGEST = 4.0  # paths longer than this many times the distance are given up
_SPREAD_DEG, _SPACING_DEG = 120, 3  # arrival headings to either side of the line from cup to ball
_REFINED = 25
_ROUNDS, _MOST_ENDS = 4, 4
_SETTLED_RAD, _APART_M = 1e-4, 0.1
_MOST_PLOT_POINTS = 256
_STEEPEST_AIM_RAD = math.pi / 2


class Code(IntEnum):
    """`dll_return_code` of the reference solver (ADV-85)."""

    SOLVED = 0
    NO_PATH = 1
    TOO_FAST_DOWNHILL = 2
    LEAVES_GREEN = 3
    TOO_NEAR = 4


REASONS = {
    Code.NO_PATH: "no path found to the tolerance",
    Code.TOO_FAST_DOWNHILL: "the downhill run cannot arrive that slowly",
    Code.LEAVES_GREEN: "every path leaves the valid nodes",
    Code.TOO_NEAR: "ball and cup are closer than 0.02 m",
}


@dataclass(frozen=True, slots=True)
class Putt:
    """What is asked: from where to where, how fast the green is, how far past the cup the ball may roll."""

    ball: LocalPoint
    cup: LocalPoint
    stimp_m: float
    past_cup_m: float = 0.30


@dataclass(frozen=True, slots=True)
class Line:
    """A way into the cup. aim_rad is from the ball-to-cup line; points run from ball to cup."""

    aim_rad: float
    speed_mps: float
    time_s: float
    points: tuple[LocalPoint, ...]


def solve(relief: Relief, putt: Putt) -> Line | Code:
    """The way into the cup with the smallest |aim|, or why there is none."""
    if distance_m(putt.ball, putt.cup) < _NEAREST_M:
        return Code.TOO_NEAR
    if not relief.is_valid(np.array([_xy(putt.ball), _xy(putt.cup)]).T).all():
        return Code.LEAVES_GREEN
    bearing_rad = math.atan2(putt.ball.y_m - putt.cup.y_m, putt.ball.x_m - putt.cup.x_m)
    spread = np.radians(np.arange(-_SPREAD_DEG, _SPREAD_DEG + 1, _SPACING_DEG, dtype=float))
    step_m, coarse_step_m = next(steps for noise_m, *steps in _STEPS_M if relief.noise_m <= noise_m)
    coarse = _family(relief, putt, bearing_rad + spread, coarse_step_m)
    refined = (_refine(relief, putt, low, high, step_m) for low, high in _brackets(coarse, putt))
    lines = [line for line in refined if line is not None]
    lines = [line for line in lines if abs(line.aim_rad) < _STEEPEST_AIM_RAD]
    return min(lines, key=lambda line: abs(line.aim_rad)) if lines else _reason(relief, putt, coarse)


def _family(relief: Relief, putt: Putt, headings_rad: Floats, longest_step_m: float) -> Family:
    friction = rolling.friction_mps2(putt.stimp_m)
    away_m = distance_m(putt.ball, putt.cup)
    return rolling.backwards(
        relief,
        putt.cup,
        headings_rad,
        distance_m=away_m,
        steps_m=_steps_m(away_m, putt.past_cup_m, min(longest_step_m, away_m / 8)),
        friction=friction,
        arrival_mps=rolling.flat_speed_mps(putt.past_cup_m, friction),
    )


def _steps_m(away_m: float, past_cup_m: float, longest_m: float) -> Floats:
    """Lengths of the steps back from the cup: fine where the ball is slow and turns, then up to the longest.

    On the level a ball's speed changes over a length that grows with what it still has to roll, so the step does too.
    """
    steps_m, travelled_m = [], 0.0
    while travelled_m < _LONGEST * away_m:
        steps_m.append(min(_GROWTH * (past_cup_m + travelled_m), longest_m))
        travelled_m += steps_m[-1]
    return np.array(steps_m)


def _misses_rad(family: Family, putt: Putt) -> Floats:
    """Angle at the cup from the ball to where each path arrives, (n,) in [-pi, pi); NaN where it does not."""
    bearing_rad = math.atan2(putt.ball.y_m - putt.cup.y_m, putt.ball.x_m - putt.cup.x_m)
    arrived_rad = np.arctan2(family.at[1] - putt.cup.y_m, family.at[0] - putt.cup.x_m)
    misses = (arrived_rad - bearing_rad + math.pi) % (2 * math.pi) - math.pi
    return np.where(family.fates == Fate.REACHED, misses, np.nan)


def _crossings(misses: Floats) -> list[int]:
    """Indices k where the miss changes sign between path k and k + 1; a jump at the back of the circle is no change."""
    left, right = misses[:-1], misses[1:]
    with np.errstate(invalid="ignore"):
        return list(np.flatnonzero(((left * right < 0) | (left == 0)) & (np.abs(left - right) < math.pi)))


def _ends(misses: Floats) -> list[int]:
    """Indices k where one of the paths k and k + 1 is lost and the other not, those that miss by least first.

    Near the edge of the data, or where a steep slope fans the paths out, the way in lies between the last two.
    """
    lost = np.isnan(misses)
    ends = np.flatnonzero(lost[:-1] != lost[1:])
    return sorted(ends, key=lambda k: float(np.nanmin(np.abs(misses[k : k + 2]))))[:_MOST_ENDS]


def _brackets(family: Family, putt: Putt) -> Iterator[tuple[float, float]]:
    """Pairs of headings between which a path may meet the ball, a little wider so that rounding loses none."""
    misses = _misses_rad(family, putt)
    margin_rad = math.radians(_SPACING_DEG) / 8
    for k in _crossings(misses) or _ends(misses):
        yield float(family.headings_rad[k]) - margin_rad, float(family.headings_rad[k + 1]) + margin_rad


def _refine(relief: Relief, putt: Putt, low_rad: float, high_rad: float, step_m: float) -> Line | None:
    """Narrow a bracket until neighbouring paths agree on the one that meets the ball; None when they never do."""
    apart_rad = _APART_M / distance_m(putt.ball, putt.cup)
    for _ in range(_ROUNDS):
        family = _family(relief, putt, np.linspace(low_rad, high_rad, _REFINED), step_m)
        misses = _misses_rad(family, putt)
        if crossings := _crossings(misses):
            k = crossings[0]
            weights, straight = _weights(misses, k), _between(misses, k)
            differs_rad = abs(family.at[2] @ weights - family.at[2] @ straight)
            if differs_rad < _SETTLED_RAD and abs(misses[k + 1] - misses[k]) < apart_rad:
                return _line(family, weights, putt)
        elif ends := _ends(misses):
            k = ends[0]
        else:
            return None
        low_rad, high_rad = float(family.headings_rad[k]), float(family.headings_rad[k + 1])
    return None


def _weights(misses: Floats, k: int) -> Floats:
    """Lagrange weights of the four paths around a crossing, (n,), for the path that misses by nothing."""
    nodes = np.arange(max(k - 1, 0), min(k + 3, misses.size))
    around = misses[nodes]
    if np.isnan(around).any() or not (np.all(np.diff(around) > 0) or np.all(np.diff(around) < 0)):
        return _between(misses, k)
    weights = np.zeros(misses.size)
    for own, node in enumerate(nodes):
        others = np.delete(around, own)
        weights[node] = np.prod(others / (others - around[own]))
    return weights


def _between(misses: Floats, k: int) -> Floats:
    """Weights of the two paths next to a crossing."""
    weights = np.zeros(misses.size)
    span = misses[k + 1] - misses[k]
    weights[k + 1] = -misses[k] / span if span else 0.0
    weights[k] = 1 - weights[k + 1]
    return weights


def _line(family: Family, weights: Floats, putt: Putt) -> Line:
    """The weighted path, turned round: it starts at the ball."""
    used = np.flatnonzero(weights)
    _, _, heading_rad, energy, time_s = family.at[:, used] @ weights[used]
    towards_cup_rad = math.atan2(putt.cup.y_m - putt.ball.y_m, putt.cup.x_m - putt.ball.x_m)
    aim_rad = (heading_rad + math.pi - towards_cup_rad + math.pi) % (2 * math.pi) - math.pi
    steps = int(family.steps[used].min())
    track = family.track[1 : steps + 1, :, used] @ weights[used]
    stride = -(-track.shape[0] // (_MOST_PLOT_POINTS - 2)) or 1
    between = tuple(LocalPoint(float(x_m), float(y_m)) for x_m, y_m in track[::-stride])
    return Line(float(aim_rad), math.sqrt(2 * energy), float(time_s), (putt.ball, *between, putt.cup))


def _reason(relief: Relief, putt: Putt, family: Family) -> Code:
    """Why no path meets the ball."""
    if (family.fates == Fate.STALLED).any() or _runs_away(relief, putt):
        return Code.TOO_FAST_DOWNHILL
    return Code.LEAVES_GREEN if (family.fates == Fate.LEFT).all() else Code.NO_PATH


def _runs_away(relief: Relief, putt: Putt) -> bool:
    """Whether even the straight run, which loses least, would have to start slower than standing still."""
    friction = rolling.friction_mps2(putt.stimp_m)
    rise_m = relief.height_m(*_xy(putt.cup)) - relief.height_m(*_xy(putt.ball))
    run_m = distance_m(putt.ball, putt.cup) + putt.past_cup_m
    return 2 * friction * run_m + 10 / 7 * rolling.GRAVITY_MPS2 * rise_m < 0


def _xy(point: LocalPoint) -> tuple[float, float]:
    return point.x_m, point.y_m
