"""How a ball rolls on a green, followed backwards from the cup (ADV-82). Pure.

Plan coordinates, metres and seconds. A rolling ball is slowed by A along its path and pulled by 5/7 of gravity down the
slope: a = -(5/7) g grad h - A v/|v|. Followed backwards in time from the cup it gains speed, so nothing stops and no
guess is needed: one family of paths over all headings at which a ball may arrive shows every way from the ball to
the cup.

The independent variable is the length of the path, not time: speed then changes by energy alone and a step is as
fine on the green whatever the speed.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import cast

import numpy as np
import numpy.typing as npt

from routing.geometry import LocalPoint
from routing.golf.solvers.relief import Floats, Relief

GRAVITY_MPS2 = 9.80665
_PULL_MPS2 = 5 / 7 * GRAVITY_MPS2  # a rolling solid sphere; g instead would over-read break by 7/5
_STIMP_RELEASE_MPS = 1.83  # speed at the foot of the stimpmeter's ramp
_STALL_MPS = 0.02
_X, _Y, _HEADING, _ENERGY, _TIME = range(5)


class Fate(IntEnum):
    """How one path of a family ended."""

    UNDER_WAY = 0
    REACHED = 1
    LEFT = 2
    STALLED = 3


@dataclass(frozen=True)
class Family:
    """Paths from the cup out to the ball's distance, one per arrival heading; n paths.

    headings_rad: (n,) direction from the cup in which each path leaves, counter-clockwise from +x.
    fates: (n,) Fate. at: (5, n) x, y, heading, kinetic energy per mass and time where each reached the distance.
    track: (steps + 1, 2, n) x and y after each step, from the cup on; steps: (n,) whole steps before each path's end.
    """

    headings_rad: Floats
    fates: npt.NDArray[np.int_]
    at: Floats
    track: Floats
    steps: npt.NDArray[np.int_]


def friction_mps2(stimp_m: float) -> float:
    """Deceleration A of a ball on a level green of this stimp: it rolls out the stimp from the ramp's release speed."""
    return _STIMP_RELEASE_MPS**2 / (2 * stimp_m)


def flat_speed_mps(distance_m: float, friction: float, final_mps: float = 0.0) -> float:
    """Speed at the start of a level roll over the distance that ends at `final_mps`."""
    return math.sqrt(final_mps**2 + 2 * friction * distance_m)


def backwards(
    relief: Relief,
    cup: LocalPoint,
    headings_rad: Floats,
    *,
    distance_m: float,
    steps_m: Floats,
    friction: float,
    arrival_mps: float,
) -> Family:
    """Follow every heading back from the cup until the path is `distance_m` away, leaves the valid nodes, or stalls.

    steps_m: lengths of the steps in order; their sum is the longest path that is followed.
    """
    state = np.empty((5, headings_rad.size))
    state[_X], state[_Y], state[_HEADING], state[_TIME] = cup.x_m, cup.y_m, headings_rad, 0.0
    state[_ENERGY] = arrival_mps**2 / 2
    states = [state]
    for step_m in steps_m:
        state = _advance(relief, state, step_m, friction)
        states.append(state)
        if _away_m(state, cup).min() >= distance_m:
            break
    history = np.stack(states)
    fates, steps = _fates(relief, history, cup, distance_m)
    before = history[steps, :, np.arange(headings_rad.size)].T
    at = _arrive(relief, before, cup, distance_m, steps_m[steps], friction)
    return Family(headings_rad, fates, at, history[:, :2], steps)


def _fates(
    relief: Relief, history: Floats, cup: LocalPoint, distance_m: float
) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """What happened first to each path, and how many whole steps it made before; what follows after is not real."""
    after = history[1:]
    left = ~relief.is_valid(after[:, :2].transpose(1, 0, 2).reshape(2, -1)).reshape(after.shape[0], -1)
    # One step of length may bring a path to the ball and over the edge of the data: it has reached the ball.
    happened = np.where(_away_m(after, cup) >= distance_m, Fate.REACHED, np.where(left, Fate.LEFT, Fate.UNDER_WAY))
    happened = np.where((happened == 0) & (after[:, _ENERGY] <= _STALL_MPS**2 / 2), Fate.STALLED, happened)
    steps = np.where(happened.any(axis=0), (happened != 0).argmax(axis=0), after.shape[0] - 1)
    return happened[steps, np.arange(steps.size)], steps


def _arrive(
    relief: Relief, before: Floats, cup: LocalPoint, distance_m: float, longest_m: Floats, friction: float
) -> Floats:
    """The state of each path exactly at the distance: the last part of a step, its length found by Newton's method."""
    lengths_m = np.zeros(before.shape[1])
    state = before
    for _ in range(3):
        dx_m, dy_m = state[_X] - cup.x_m, state[_Y] - cup.y_m
        away_m = np.hypot(dx_m, dy_m)
        outward = (dx_m * np.cos(state[_HEADING]) + dy_m * np.sin(state[_HEADING])) / np.maximum(away_m, 1e-9)
        lengths_m = np.clip(lengths_m + (distance_m - away_m) / np.where(outward > 0.05, outward, 1.0), 0.0, longest_m)
        state = _advance(relief, before, lengths_m, friction)
    return state


def _away_m(state: Floats, cup: LocalPoint) -> Floats:
    """Plan distance from the cup; the state's axis is the last but one."""
    return cast(Floats, np.hypot(state[..., _X, :] - cup.x_m, state[..., _Y, :] - cup.y_m))


def _advance(relief: Relief, state: Floats, lengths_m: Floats | float, friction: float) -> Floats:
    """One Runge-Kutta step of fourth order along each path."""
    half_m = lengths_m / 2
    k1 = _rates(relief, state, friction)
    k2 = _rates(relief, state + half_m * k1, friction)
    k3 = _rates(relief, state + half_m * k2, friction)
    k4 = _rates(relief, state + lengths_m * k3, friction)
    return state + lengths_m / 6 * (k1 + 2 * (k2 + k3) + k4)


def _rates(relief: Relief, state: Floats, friction: float) -> Floats:
    """Change per metre of path of x, y, heading, energy and time, going backwards."""
    cos, sin = np.cos(state[_HEADING]), np.sin(state[_HEADING])
    slope_x, slope_y = relief.slopes(state[:2])
    speed_squared = np.maximum(2 * state[_ENERGY], _STALL_MPS**2)
    rates = np.empty_like(state)
    rates[_X], rates[_Y] = cos, sin
    rates[_HEADING] = _PULL_MPS2 * (slope_x * sin - slope_y * cos) / speed_squared
    rates[_ENERGY] = friction - _PULL_MPS2 * (slope_x * cos + slope_y * sin)
    rates[_TIME] = 1 / np.sqrt(speed_squared)
    return rates
