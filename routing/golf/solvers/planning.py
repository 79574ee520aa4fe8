"""The reference shot planner: every club and aim tried with the same thousand swings (ADV-88 to ADV-94). Pure.

Plan coordinates of `green_local_m`, metres; angles counter-clockwise, so a positive aim is left of the pin.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from routing.geometry import LocalPoint, distance_m
from routing.golf.hole_map import Lie
from routing.golf.solvers import strokes
from routing.golf.solvers.bag import Club, Player
from routing.golf.solvers.lies import ORDER, Lies

Floats = npt.NDArray[np.float64]

NEAREST_M, FARTHEST_M = 2.0, 700.0  # ADV-89
AIMS_DEG = np.arange(-20.0, 20.1, 2.0)
_SWINGS = 1000
_LIE_SHARE = {Lie.BUNKER: 0.90, Lie.ROUGH: 0.95}
_TAIL, _HEAD, _CROSS = 0.010, 0.015, 0.010  # per m/s of wind
_SHORTEST_SHARE = 0.2  # no headwind takes more of the carry
_SURE_GAP = 0.2


@dataclass(frozen=True, slots=True)
class Shot:
    """What is asked. wind_mps: where the air moves to, along local x and y."""

    ball: LocalPoint
    pin: LocalPoint
    player: Player = field(default_factory=Player)
    wind_mps: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Choice:
    """The best club and aim. aim_deg is from the pin's direction; carry and total are those of a clean strike.

    landing: mean of where the ball comes down; shares: of all swings, by lie at rest.
    """

    club: str
    aim_deg: float
    carry_m: float
    total_m: float
    landing: LocalPoint
    expected_strokes: float
    runner_up: tuple[str, float] | None
    shares: dict[Lie, float]

    @property
    def confidence(self) -> float:
        """How much better this club is than any other."""
        if self.runner_up is None:
            return 1.0
        return min(1.0, max(0.0, 0.5 + (self.runner_up[1] - self.expected_strokes) / _SURE_GAP))


def is_in_range(ball: LocalPoint, pin: LocalPoint) -> bool:
    """Whether there is a shot to plan."""
    return NEAREST_M < distance_m(ball, pin) <= FARTHEST_M


def plan(lies: Lies, shot: Shot) -> Choice:
    """The club and aim with the fewest expected strokes; ties go to the straighter aim, then to the shorter club."""
    lie = lies.of(shot.ball)
    clubs = [club for club in shot.player.clubs() if lie is Lie.TEE or not club.is_driver]
    flights = _flights(shot)
    reach_m = np.array([club.carry_m * _LIE_SHARE.get(lie, 1.0) for club in clubs])
    total_m = reach_m * np.array([1 + club.roll for club in clubs])
    # Single precision is a tenth of a millimetre here, and twice as fast.
    flown = np.multiply.outer(total_m.astype(np.float32), flights.astype(np.float32))
    rest_m = [flown[:, axis].ravel() + np.float32(origin_m) for axis, origin_m in enumerate(_xy(shot.ball))]
    rest = lies.at(*rest_m)
    away_m = np.hypot(rest_m[0] - np.float32(shot.pin.x_m), rest_m[1] - np.float32(shot.pin.y_m))
    start = strokes.expected(_played_from(lie), distance_m(shot.ball, shot.pin))
    shape = len(clubs), AIMS_DEG.size, _SWINGS
    means = strokes.costs(rest, away_m, start).reshape(shape).mean(axis=2, dtype=np.float64)
    return _best(shot, clubs, reach_m, flights, means, rest.reshape(shape))


def _best(
    shot: Shot, clubs: list[Club], reach_m: Floats, flights: Floats, means: Floats, rest: npt.NDArray[np.uint8]
) -> Choice:
    """means: (clubs, aims) expected strokes; rest: (clubs, aims, swings) lies."""
    club_of, aim_of = np.indices(means.shape)
    order = np.lexsort((reach_m[club_of].ravel(), np.abs(AIMS_DEG)[aim_of].ravel(), means.round(9).ravel()))
    c, a = np.unravel_index(order[0], means.shape)
    others = np.delete(np.arange(len(clubs)), c)
    runner_up = None
    if others.size:
        second = others[means[others].min(axis=1).argmin()]
        runner_up = (clubs[second].name, float(means[second].min()))
    carry_m = float(reach_m[c] * _wind_share(shot)[a])
    landing = LocalPoint(
        *(origin + float(reach_m[c] * along[a].mean()) for origin, along in zip(_xy(shot.ball), flights, strict=True))
    )
    counts = np.bincount(rest[c, a], minlength=len(ORDER))
    return Choice(
        club=clubs[c].name,
        aim_deg=float(AIMS_DEG[a]),
        carry_m=carry_m,
        total_m=carry_m * (1 + clubs[c].roll),
        landing=landing,
        expected_strokes=float(means[c, a]),
        runner_up=runner_up,
        shares={lie: float(counts[code]) / _SWINGS for code, lie in enumerate(ORDER)},
    )


def _flights(shot: Shot) -> Floats:
    """Where a club of one metre brings the ball: (2, aims, swings), wind and scatter included."""
    away, aside = _swings()
    away = 1 + shot.player.carry_spread * away
    off_rad = math.radians(shot.player.direction_spread_deg) * aside
    forward = away * np.cos(off_rad)
    sideways = away * np.sin(off_rad) + np.multiply.outer(_CROSS * _wind_along(shot)[1], away)
    cos, sin = (turn(_directions_rad(shot))[:, None] for turn in (np.cos, np.sin))
    share = _wind_share(shot)[:, None]
    return np.stack((share * (forward * cos - sideways * sin), share * (forward * sin + sideways * cos)))


def _swings() -> tuple[Floats, Floats]:
    """Deviations of carry and direction, in standard deviations, (swings,) each; always the same (ADV-90).

    The second half is the first with its sideways part negated, so a mirrored hole has a mirrored answer.
    """
    away, aside = np.random.default_rng(20260504).standard_normal((2, _SWINGS // 2))
    return np.concatenate((away, away)), np.concatenate((aside, -aside))


def _directions_rad(shot: Shot) -> Floats:
    """The direction of each aim, (aims,)."""
    pin_rad = math.atan2(shot.pin.y_m - shot.ball.y_m, shot.pin.x_m - shot.ball.x_m)
    return np.asarray(pin_rad + np.radians(AIMS_DEG))


def _wind_along(shot: Shot) -> tuple[Floats, Floats]:
    """Wind from behind and from the right, m/s, for each aim."""
    directions_rad, (to_x, to_y) = _directions_rad(shot), shot.wind_mps
    cos, sin = np.cos(directions_rad), np.sin(directions_rad)
    return to_x * cos + to_y * sin, to_y * cos - to_x * sin


def _wind_share(shot: Shot) -> Floats:
    """What the wind leaves of the carry, (aims,)."""
    behind = _wind_along(shot)[0]
    return np.maximum(1 + np.where(behind > 0, _TAIL, _HEAD) * behind, _SHORTEST_SHARE)


def _played_from(lie: Lie) -> Lie:
    """The lie strokes are expected from; a ball in water or out of bounds is played as from the rough."""
    return Lie.ROUGH if lie in (Lie.WATER, Lie.OB) else lie


def _xy(point: LocalPoint) -> tuple[float, float]:
    return point.x_m, point.y_m
