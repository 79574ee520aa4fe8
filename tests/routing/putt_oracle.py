"""An independent answer to a putt: scipy integrates ADV-82 forwards on the exact surface and searches aim and speed.

Nothing is shared with the solver but the equation: forwards not backwards, in time not in length, on the formula of the
green not on its grid, with a terminal event on the line through the cup.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

G_MPS2 = 9.80665
Slope = Callable[[float, float], tuple[float, float]]

SLOPES: dict[int, Slope] = {
    1: lambda x, y: (0.0, 0.0),
    2: lambda x, y: (0.02, 0.0),
    3: lambda x, y: (0.004 * (x - 10), 0.004 * (y - 8)),
    4: lambda x, y: (0.075 / math.cosh((x - 10) / 2) ** 2, 0.0),
}


def solve(slope: Slope, ball, cup, stimp_m: float, past_m: float = 0.30, first_aim_deg: float = 0.0):
    """(aim_deg, speed_mps, time_s) of the putt near the first guess, or None when the search does not settle."""
    friction = 1.83**2 / (2 * stimp_m)
    final_squared = 2 * friction * past_m
    away_m = math.dist(ball, cup)
    along = np.subtract(cup, ball) / away_m
    across = np.array([-along[1], along[0]])

    def roll(aim_deg: float, speed_mps: float):
        angle = math.radians(aim_deg)
        velocity = speed_mps * (math.cos(angle) * along + math.sin(angle) * across)
        return solve_ivp(
            lambda t, s: _rates(slope, friction, s),
            (0, 30),
            [*ball, *velocity],
            events=[_event(lambda s: (s[:2] - cup) @ along, 1), _event(lambda s: math.hypot(*s[2:]) - 0.05, -1)],
            rtol=1e-9,
            atol=1e-10,
        )

    def miss(guess):
        run = roll(*guess)
        end = run.y[:, -1]
        speed_squared = end[2] ** 2 + end[3] ** 2
        short_m = max(-(end[:2] - cup) @ along, 0.0)
        # A ball that stops short lacks at least the energy for the rest of the way.
        return [(end[:2] - cup) @ across, (speed_squared - final_squared) / (2 * friction) - 2 * short_m]

    speed = math.sqrt(final_squared + 2 * friction * away_m)
    found = least_squares(miss, [first_aim_deg, speed * 1.1], x_scale=[1, 0.1], xtol=1e-12, ftol=1e-14, gtol=1e-14)
    if np.abs(found.fun).max() > 1e-5 or abs(found.x[0]) >= 90:
        return None
    return found.x[0], found.x[1], roll(*found.x).t[-1]


def closest_m(slope: Slope, ball, cup, stimp_m: float, aim_deg: float, speed_mps: float) -> tuple[float, float]:
    """(offset, speed) at the nearest approach to the cup's centre of a ball sent off like this."""
    friction = 1.83**2 / (2 * stimp_m)
    along = np.subtract(cup, ball) / math.dist(ball, cup)
    angle = math.radians(aim_deg)
    velocity = speed_mps * (math.cos(angle) * along + math.sin(angle) * np.array([-along[1], along[0]]))
    run = solve_ivp(
        lambda t, s: _rates(slope, friction, s),
        (0, 30),
        [*ball, *velocity],
        events=[_event(lambda s: (s[:2] - cup) @ s[2:], 1), _event(lambda s: math.hypot(*s[2:]) - 0.05, -1)],
        rtol=1e-9,
        atol=1e-10,
    )
    end = run.y[:, -1]
    return math.dist(end[:2], cup), math.hypot(*end[2:])


def _rates(slope: Slope, friction: float, state):
    x, y, vx, vy = state
    speed = math.hypot(vx, vy) or 1e-12
    slope_x, slope_y = slope(x, y)
    pull = 5 / 7 * G_MPS2
    return [vx, vy, -pull * slope_x - friction * vx / speed, -pull * slope_y - friction * vy / speed]


def _event(value, direction: int):
    def event(t, state):
        return value(np.asarray(state))

    vars(event).update(terminal=True, direction=direction)
    return event
