"""The reference shot planner: areas, strokes, and the properties of ADV-95 to ADV-101."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from routing.geometry import LocalPoint
from routing.golf import hole_map, synthetic
from routing.golf.hole_map import HoleMap, Lie
from routing.golf.solvers import bag, lies, planning, strokes
from routing.golf.solvers.bag import Player
from routing.golf.solvers.lies import ORDER, Lies
from routing.golf.solvers.planning import Choice, Shot

PIN = LocalPoint(10, 8)
GALE_MPS = 20 * 0.44704
SHIPPED = hole_map.parse(synthetic._hole())
GREEN_ONLY = HoleMap(4, tuple(area for area in SHIPPED.areas if area[0] is Lie.GREEN))


@cache
def shipped() -> Lies:
    return lies.of_map(SHIPPED)


@cache
def green_only() -> Lies:
    return lies.of_map(GREEN_ONLY)


def plan(area: Lies, away_m: float, *, handicap: float = 15, wind_mps: tuple[float, float] = (0, 0)) -> Choice:
    """From `away_m` west of the pin, playing along +x."""
    return planning.plan(area, Shot(LocalPoint(PIN.x_m - away_m, PIN.y_m), PIN, Player(handicap), wind_mps))


@pytest.mark.parametrize(
    ("x_m", "y_m", "lie"),
    [
        (10, 8, Lie.GREEN),
        (-200, 8, Lie.FAIRWAY),
        (-350, 8, Lie.TEE),
        (-4, -3, Lie.BUNKER),
        (-100, -20, Lie.WATER),
        (-100, 61, Lie.OB),
        (0, -99, Lie.OB),
        (-349, 20, Lie.ROUGH),
        (900, 900, Lie.ROUGH),
    ],
)
def test_a_place_has_the_lie_of_the_map(x_m, y_m, lie):
    """ADV-88: the shipped hole; elsewhere is rough."""
    assert shipped().of(LocalPoint(x_m, y_m)) is lie


def test_overlaps_go_to_the_stronger_area():
    """ADV-88: ob, water, bunker, green, tee, fairway, in whatever order the file has them."""
    square = tuple(LocalPoint(x, y) for x, y in ((0, 0), (9, 0), (9, 9), (0, 9)))
    kinds = (Lie.FAIRWAY, Lie.TEE, Lie.GREEN, Lie.BUNKER, Lie.WATER, Lie.OB)
    found = [lies.of_map(HoleMap(4, tuple((kind, square) for kind in kinds[:n]))) for n in range(1, 7)]

    assert [area.of(LocalPoint(3, 3)) for area in found] == list(kinds)


def test_the_raster_agrees_with_the_polygons():
    """Forty thousand places, a good part of them within a cell of a border."""
    random = np.random.default_rng(1)
    x_m = np.concatenate((random.uniform(-420, 90, 20_000), random.uniform(-9, 1, 20_000)))
    y_m = np.concatenate((random.uniform(-120, 120, 20_000), random.uniform(-8, 16, 20_000)))

    assert (shipped().at(x_m, y_m) == lies._exactly(shipped().areas, x_m, y_m)).all()


def test_without_a_map_there_is_a_green_around_the_pin():
    """ADV-88: a disc of 10 m, rough elsewhere."""
    area = lies.without_map(PIN)

    assert [area.of(LocalPoint(10, 8 + off_m)) for off_m in (0, 9.9, 10.1)] == [Lie.GREEN, Lie.GREEN, Lie.ROUGH]


@pytest.mark.parametrize(
    ("lie", "distance_m", "expected"),
    [
        (Lie.FAIRWAY, 100 * 0.9144, 2.80),
        (Lie.FAIRWAY, 120 * 0.9144, 2.855),
        (Lie.FAIRWAY, 260 * 0.9144, 3.54),
        (Lie.ROUGH, 0, 2.10),
        (Lie.BUNKER, 140 * 0.9144, 3.22),
        (Lie.TEE, 300 * 0.9144, 3.71),
        (Lie.GREEN, 8 * 0.3048, 1.50),
        (Lie.GREEN, 90 * 0.3048, 2.40),
    ],
)
def test_expected_strokes_follow_the_table(lie, distance_m, expected):
    """ADV-93: linear between anchors, the last slope beyond."""
    assert strokes.expected(lie, distance_m) == pytest.approx(expected, abs=1e-6)


def test_costs_add_the_shot_and_the_penalty():
    """ADV-93: water 2 + rough at rest, ob 2 + start."""
    codes = np.array([ORDER.index(lie) for lie in (Lie.GREEN, Lie.ROUGH, Lie.WATER, Lie.OB)], dtype=np.uint8)
    at_m = 60 * 0.9144

    found = strokes.costs(codes, np.full(4, at_m, dtype=np.float32), 3.7)
    assert found == pytest.approx([1 + strokes.expected(Lie.GREEN, at_m), 3.91, 4.91, 5.7], abs=2e-4)


def test_the_bag_scales_with_the_handicap():
    """ADV-91: 1 - 0.008 h, the sand wedge also at three partial swings; an own bag replaces it."""
    clubs = {club.name: club.carry_m for club in Player(10).clubs()}
    own = {
        club.name: (club.carry_m, club.roll)
        for club in Player(10, (("5-wood", 180.0), ("SW", 80.0), ("Gap wedge", 95.0))).clubs()
    }

    assert len(clubs) == len(bag.DEFAULT_BAG) + 3
    assert clubs["7-iron"] == pytest.approx(151 * 0.92)
    assert clubs["SW 1/4"] == pytest.approx(85 * 0.92 / 4)
    assert own["5-wood"] == (180, 0.08)
    assert own["SW 1/2"] == (40, 0.02)
    assert own["Gap wedge"] == (95, 0.02)


def test_the_driver_needs_a_tee():
    """ADV-91."""
    assert plan(shipped(), 359).club == "driver"
    assert planning.plan(shipped(), Shot(LocalPoint(-339, 8), PIN)).club != "driver"


def test_the_same_shot_has_the_same_answer():
    """ADV-95."""
    assert plan(shipped(), 180) == plan(shipped(), 180)


def test_a_clean_strike_reaches_the_pin():
    """ADV-96: no wind, nothing but a green, handicap 0, pin at 130 m."""
    choice = plan(green_only(), 130, handicap=0)

    assert choice.total_m == pytest.approx(130, abs=8)
    assert abs(choice.aim_deg) <= 2


@pytest.mark.parametrize("handicap", [0, 15, 36])
@pytest.mark.parametrize("away_m", [60, 110, 160, 210])
def test_wind_changes_the_club_the_right_way(handicap, away_m):
    """ADV-97: never less club into the wind, never more with it."""
    carries = {club.name: club.carry_m for club in Player(handicap).clubs()}
    with_wind = [
        plan(green_only(), away_m, handicap=handicap, wind_mps=(along, 0)) for along in (-GALE_MPS, 0, GALE_MPS)
    ]
    into, calm, behind = (carries[choice.club] for choice in with_wind)

    assert into >= calm >= behind


def test_strokes_rise_with_handicap_and_distance():
    """ADV-98: tolerance 0.03."""
    for rising in (
        [plan(green_only(), 150, handicap=handicap).expected_strokes for handicap in (0, 10, 20, 30)],
        [plan(green_only(), away_m).expected_strokes for away_m in (60, 120, 180)],
    ):
        assert all(later > earlier - 0.03 for earlier, later in pairwise(rising))
        assert rising[-1] > rising[0]


@pytest.mark.parametrize("away_m", [110, 200, 330])
def test_water_where_the_ball_would_land_is_avoided(away_m):
    """ADV-99: another winner, or 0.3 strokes more."""
    calm = plan(shipped(), away_m)
    x, y = calm.landing.x_m, calm.landing.y_m
    pond = tuple(LocalPoint(x + dx, y + dy) for dx, dy in ((-12, -12), (25, -12), (25, 12), (-12, 12)))
    wet = plan(lies.of_map(replace(SHIPPED, areas=(*SHIPPED.areas, (Lie.WATER, pond)))), away_m)

    assert (wet.club, wet.aim_deg) != (calm.club, calm.aim_deg) or wet.expected_strokes >= calm.expected_strokes + 0.3


@pytest.mark.parametrize(("away_m", "wind_mps"), [(60, (2, 5)), (150, (-3, 4)), (240, (0, -6))])
def test_a_mirrored_hole_has_a_mirrored_answer(away_m, wind_mps):
    """ADV-100: about the line from ball to pin; one step, 0.05 strokes."""
    turned = tuple((lie, tuple(LocalPoint(p.x_m, 16 - p.y_m) for p in points)) for lie, points in SHIPPED.areas)
    one = plan(shipped(), away_m, wind_mps=wind_mps)
    other = plan(lies.of_map(HoleMap(4, turned)), away_m, wind_mps=(wind_mps[0], -wind_mps[1]))

    assert one.club == other.club
    assert abs(one.aim_deg + other.aim_deg) <= 2
    assert one.expected_strokes == pytest.approx(other.expected_strokes, abs=0.05)


@pytest.mark.parametrize("away_m", [20, 90, 170, 359])
def test_a_choice_is_in_order(away_m):
    """ADV-101."""
    choice = plan(shipped(), away_m)

    assert choice.carry_m <= choice.total_m
    assert 0 <= choice.confidence <= 1
    assert sum(choice.shares.values()) == pytest.approx(1)
    assert choice.runner_up is not None
    assert choice.runner_up[0] != choice.club
    assert choice.expected_strokes <= choice.runner_up[1]


def test_crosswind_moves_the_landing_and_the_aim():
    """ADV-92: 0.010 x carry x cross; wind from the right is held against."""
    calm, windy = (plan(green_only(), 150, wind_mps=(0, across)) for across in (0, 8))

    assert windy.aim_deg < calm.aim_deg
    assert windy.landing.y_m == pytest.approx(calm.landing.y_m, abs=8)


@pytest.mark.parametrize(("lie", "share"), [(Lie.BUNKER, 0.90), (Lie.ROUGH, 0.95), (Lie.FAIRWAY, 1.0)])
def test_a_poor_lie_costs_carry(lie, share):
    """ADV-92."""
    around = tuple(LocalPoint(x, y) for x, y in ((-200, 0), (-100, 0), (-100, 16), (-200, 16)))
    area = lies.of_map(HoleMap(4, ((lie, around), *GREEN_ONLY.areas) if lie is not Lie.ROUGH else GREEN_ONLY.areas))
    choice = planning.plan(area, Shot(LocalPoint(-140, 8), PIN, Player(0)))

    assert choice.carry_m == pytest.approx(bag.DEFAULT_BAG[choice.club] * share)


@pytest.mark.parametrize(("away_m", "expected"), [(2, False), (2.01, True), (700, True), (700.1, False)])
def test_only_a_shot_is_planned(away_m, expected):
    """ADV-89."""
    assert planning.is_in_range(LocalPoint(0, 0), LocalPoint(away_m, 0)) is expected
