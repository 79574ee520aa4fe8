"""The reference putt solver against its vectors and an independent integration (ADV-82 to ADV-87)."""

import math
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from routing.geometry import LocalPoint
from routing.golf import datasets
from routing.golf.solvers import putting, relief, rolling
from routing.golf.solvers.putting import Code, Putt
from tests.routing import putt_oracle
from tests.routing.courses import load

Point = tuple[float, float]
FT = 0.3048
VECTORS = [
    (1, 10, (5, 8), (8, 8), 0.000, 1.9041, 2.421),
    (1, 9.25, (3, 8), (15, 8), 0.000, 3.8223, 5.431),
    (2, 10, (5, 8), (8, 8), 0.000, 2.1134, 2.233),
    (2, 10, (8, 8), (5, 8), 0.000, 1.6689, 2.675),
    (2, 10, (10, 5), (10, 8), -5.605, 1.9068, 2.442),
    (2, 10, (10, 8), (10, 5), 5.605, 1.9068, 2.442),
    (3, 10, (10, 8), (15, 8), 0.000, 2.5542, 3.123),
    (3, 10, (15, 8), (10, 8), 0.000, 2.2633, 3.427),
    (3, 10, (14, 8), (10, 12), -3.483, 2.5599, 3.521),
    (4, 10, (6, 8), (14, 8), 0.000, 3.6292, 3.981),
    (4, 10, (14, 8), (6, 8), 0.000, 2.2512, 5.359),
    (4, 10, (6, 5), (14, 11), -5.531, 3.9256, 4.675),
    (4, 12, (6, 5), (14, 11), -6.336, 3.6782, 5.059),
]


@cache
def green(hole: int) -> relief.Relief:
    found: Any = load(datasets.SHIPPED_ROOT).hole("baton_links", hole)
    return relief.of(found.heights, found.green.valid, 0.2)


def solve(hole: int, ball: Point, cup: Point, stimp_ft: float = 10) -> Any:
    return putting.solve(green(hole), Putt(LocalPoint(*ball), LocalPoint(*cup), stimp_ft * FT))


@pytest.mark.parametrize(("hole", "stimp_ft", "ball", "cup", "aim_deg", "speed_mps", "time_s"), VECTORS)
def test_solve_gives_the_published_vectors(hole, stimp_ft, ball, cup, aim_deg, speed_mps, time_s):
    """ADV-86, ADV-87: 0.05 degrees, 0.3 %, 1 %; the solver is held to a fifth of that."""
    line = solve(hole, ball, cup, stimp_ft)

    assert math.degrees(line.aim_rad) == pytest.approx(aim_deg, abs=0.01)
    assert line.speed_mps == pytest.approx(speed_mps, rel=0.0006)
    assert line.time_s == pytest.approx(time_s, rel=0.002)


def test_solve_says_when_a_downhill_run_cannot_be_slow():
    """ADV-86: two-tier, 14 ft."""
    assert solve(4, (11, 8), (9, 8), 14) is Code.TOO_FAST_DOWNHILL


@pytest.mark.parametrize(("hole", "ball", "cup"), [(2, (5, 8), (12, 8)), (3, (4, 8), (10, 8)), (4, (16, 6), (5, 6))])
def test_straight_putts_keep_the_energy(hole, ball, cup):
    """ADV-86: v0^2 = vt^2 + 2 A D + (10/7) g (h_cup - h_ball), exactly."""
    friction = rolling.friction_mps2(10 * FT)
    rise_m = green(hole).height_m(*cup) - green(hole).height_m(*ball)
    expected = 2 * friction * (0.30 + math.dist(ball, cup)) + 10 / 7 * 9.80665 * rise_m

    line = solve(hole, ball, cup)
    assert line.speed_mps**2 == pytest.approx(expected, rel=1e-4)
    assert line.aim_rad == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("hole", [1, 2, 3, 4])
def test_solve_agrees_with_an_independent_integration(hole):
    """ADV-87: random pairs of 1 to 10 m, 8 to 12 ft; 0.10 degrees and 0.5 %, and b at most 5 mm (ADV-84)."""
    compared = 0
    for ball, cup, stimp_ft in pairs(hole, 12):
        slope = putt_oracle.SLOPES[hole]
        expected = putt_oracle.solve(slope, ball, cup, stimp_ft * FT)
        if expected is None:
            continue
        line = solve(hole, ball, cup, stimp_ft)
        aim_deg = math.degrees(line.aim_rad)
        assert aim_deg == pytest.approx(expected[0], abs=0.10)
        assert line.speed_mps == pytest.approx(expected[1], rel=0.005)
        assert putt_oracle.closest_m(slope, ball, cup, stimp_ft * FT, aim_deg, line.speed_mps)[0] <= 0.005
        compared += 1
    assert compared >= 10


def pairs(hole: int, count: int):
    """Random putts well inside the mask of every green."""
    random = np.random.default_rng(hole)
    found = 0
    while found < count:
        ball, cup = (tuple(random.uniform((1.5, 1.5), (18.5, 14.5))) for _ in range(2))
        if 1 <= math.dist(ball, cup) <= 10:
            found += 1
            yield ball, cup, random.uniform(8, 12)


def test_solve_finds_the_way_where_the_slope_fans_paths_out():
    """ADV-83: a long downhill putt over the tier, whose neighbours on one side all leave the green."""
    ball, cup = (16.375448950259134, 11.418005893352166), (9.407947229831754, 13.92518348257214)

    line = solve(4, ball, cup, 11.569735)
    assert math.degrees(line.aim_rad) == pytest.approx(-7.546, abs=0.01)


@pytest.mark.parametrize("noise_m", [0.0005, 0.002])
def test_solve_follows_rough_ground(noise_m):
    """ADV-84, ADV-85: a survey with bumps; the line found brings the ball within 5 mm on the same surface."""
    random = np.random.default_rng(3)
    x, y = np.meshgrid(np.arange(81) * 0.2, np.arange(61) * 0.2, indexing="ij")
    heights = 0.03 * np.sin(x / 2) * np.cos(y / 3) + random.normal(0, noise_m, x.shape)
    rough = relief.of(heights, np.ones(x.shape, dtype=bool), 0.2)
    ball, cup = (3.0, 4.0), (9.0, 7.0)

    line: Any = putting.solve(rough, Putt(LocalPoint(*ball), LocalPoint(*cup), 10 * FT))
    off_m, _ = putt_oracle.closest_m(
        lambda x, y: tuple(rough.slopes(np.array([[x], [y]]))[:, 0]),
        ball,
        cup,
        10 * FT,
        math.degrees(line.aim_rad),
        line.speed_mps,
    )
    assert off_m <= 0.005


@pytest.mark.parametrize(("hole", "ball", "cup"), [(3, (6, 4), (12, 7)), (3, (4, 10), (13, 9))])
def test_mirrored_putts_have_mirrored_aims(hole, ball, cup):
    """ADV-87: the bowl is the same on both sides of y = 8."""
    there, back = ((x, 16 - y) for x, y in (ball, cup))

    assert solve(hole, there, back).aim_rad == pytest.approx(-solve(hole, ball, cup).aim_rad, abs=1e-5)


def test_solve_answers_the_same_every_time():
    """ADV-87: byte for byte."""
    assert solve(4, (6, 5), (14, 11)) == solve(4, (6, 5), (14, 11))


def test_line_runs_from_ball_to_cup():
    """ADV-85: 2 to 256 points."""
    points = solve(4, (6, 5), (14, 11)).points

    assert (points[0], points[-1]) == (LocalPoint(6, 5), LocalPoint(14, 11))
    assert 2 <= len(points) <= 256
    steps = [math.dist((a.x_m, a.y_m), (b.x_m, b.y_m)) for a, b in pairwise(points)]
    assert max(steps) < 0.3


def test_long_lines_are_thinned_out():
    """ADV-85: at most 256 points however long the putt."""
    wide = relief.of(np.zeros((500, 20)), np.ones((500, 20), dtype=bool), 0.2)

    line: Any = putting.solve(wide, Putt(LocalPoint(1, 2), LocalPoint(99, 2), 10 * FT))
    assert 100 < len(line.points) <= 256


@pytest.mark.parametrize(
    ("hole", "ball", "cup", "code"),
    [
        (1, (5, 8), (5.01, 8), Code.TOO_NEAR),
        (2, (0.4, 8), (8, 8), Code.LEAVES_GREEN),
        (2, (8, 8), (0.4, 8), Code.LEAVES_GREEN),
    ],
)
def test_solve_refuses_what_is_no_putt(hole, ball, cup, code):
    """ADV-85: nearer than 2 cm; ball or cup on a no-data node."""
    assert solve(hole, ball, cup) is code


def test_solve_says_when_every_path_leaves_the_data():
    """ADV-85 code 3: ball and cup on two islands of data."""
    valid = np.zeros((81, 41), dtype=bool)
    valid[5:20], valid[60:75] = True, True
    islands = relief.of(np.zeros((81, 41)), valid, 0.2)

    putt = Putt(LocalPoint(2, 4), LocalPoint(13, 4), 10 * FT)
    assert putting.solve(islands, putt) is Code.LEAVES_GREEN


@pytest.mark.parametrize("stimp_ft", [8, 10, 12])
def test_stimp_reads_the_same_on_a_slope(stimp_ft):
    """ADV-82: the course-rating formula 2 up down / (up + down) gives the stimp back on 2 %."""
    friction = rolling.friction_mps2(stimp_ft * FT)
    pull = 5 / 7 * 9.80665 * 0.02
    up_m, down_m = (1.83**2 / (2 * (friction + side * pull)) for side in (1, -1))

    assert 2 * up_m * down_m / (up_m + down_m) == pytest.approx(stimp_ft * FT)
