"""The smooth surface between nodes (ADV-85)."""

import numpy as np
import pytest

from routing.golf.solvers import relief

X, Y = np.meshgrid(np.arange(41) * 0.2, np.arange(31) * 0.2, indexing="ij")
EVERYWHERE = np.ones(X.shape, dtype=bool)
POINTS = np.random.default_rng(5).uniform((0, 0), (8, 6), (500, 2)).T


def test_slopes_of_a_paraboloid_are_exact():
    """ADV-85: also next to the edges, where fewer neighbours are known."""
    surface = relief.of(1 + 0.002 * (X - 4) ** 2 - 0.001 * Y**2 + 0.003 * X * Y, EVERYWHERE, 0.2)

    expected = [0.004 * (POINTS[0] - 4) + 0.003 * POINTS[1], -0.002 * POINTS[1] + 0.003 * POINTS[0]]
    assert surface.slopes(POINTS) == pytest.approx(np.array(expected), abs=1e-9)


def test_slopes_of_a_step_are_close():
    """ADV-48: two-tier; 1e-5 of slope is 0.01 mm in a metre."""
    surface = relief.of(0.15 * (1 + np.tanh((X - 4) / 2)), EVERYWHERE, 0.2)

    inner = POINTS[:, (POINTS[0] > 0.6) & (POINTS[0] < 7.4)]
    slope_x, slope_y = surface.slopes(inner)
    assert slope_x == pytest.approx(0.075 / np.cosh((inner[0] - 4) / 2) ** 2, abs=1e-5)
    assert slope_y == pytest.approx(0, abs=1e-9)


def test_slopes_are_continuous_across_cells():
    """ADV-85: bilinear would jump at every node."""
    rough = np.random.default_rng(6).normal(0, 0.01, X.shape)
    surface = relief.of(rough, EVERYWHERE, 0.2)
    y_m = np.linspace(0.1, 5.9, 200)

    left, right = (surface.slopes(np.array([np.full(200, 2.0 + side), y_m])) for side in (-1e-9, 1e-9))
    assert left == pytest.approx(right, abs=1e-6)


def test_slopes_follow_the_heights():
    """The gradient is that of the surface itself, on rough ground too."""
    surface = relief.of(np.random.default_rng(7).normal(0, 0.01, X.shape), EVERYWHERE, 0.2)

    measured = (surface.height_m(3.1 + 1e-5, 2.7) - surface.height_m(3.1 - 1e-5, 2.7)) / 2e-5
    assert surface.slopes(np.array([[3.1], [2.7]]))[0, 0] == pytest.approx(measured, abs=1e-6)


def test_height_meets_the_nodes():
    """ADV-41: values are nodes."""
    heights = np.random.default_rng(8).normal(0, 0.01, X.shape)
    surface = relief.of(heights, EVERYWHERE, 0.2)

    assert surface.height_m(3.0, 1.6) == pytest.approx(heights[15, 8])


def test_slopes_beside_no_data_ignore_it():
    """A plane stays a plane up to half a cell beyond its last valid node."""
    valid = (X > 1.9) & (X < 6.1) & (Y > 0.9)
    surface = relief.of(np.where(valid, 0.02 * X - 0.01 * Y, -1.0), valid, 0.2)
    kept = POINTS[:, surface.is_valid(POINTS)]

    assert kept[0].min() < 1.99
    assert surface.slopes(kept) == pytest.approx(np.array([[0.02], [-0.01]]) * np.ones(kept.shape[1]), abs=1e-9)


@pytest.mark.parametrize(
    ("x_m", "y_m", "expected"),
    [
        (0, 0, True),
        (8, 6, True),
        (8.01, 3, False),
        (-0.01, 3, False),
        (3.9, 3, True),
        (4.11, 3, False),
        (np.nan, 3, False),
    ],
)
def test_is_valid_looks_at_the_nearest_node(x_m, y_m, expected):
    """ADV-85: outside the extents, or nearest to a no-data node, the path ends."""
    valid = EVERYWHERE.copy()
    valid[21, 15] = False
    surface = relief.of(np.zeros(X.shape), valid, 0.2)

    assert surface.is_valid(np.array([[x_m], [y_m]]))[0] == expected
