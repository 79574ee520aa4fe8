"""What one position says (ADV-49 to ADV-52)."""

import pytest

from routing import surface
from routing.geometry import LocalPoint
from routing.surface import Green, Margins, Source, Surface
from tests.routing import greens

ON, OFF, UNKNOWN = Surface.ON_GREEN, Surface.OFF_GREEN, Surface.UNKNOWN
DEFAULTS = Margins()


def classify(green: Green, x_m: float, y_m: float = 8.0, **over) -> tuple[Surface, float]:
    found = surface.candidate(green, LocalPoint(x_m, y_m), margins=over.pop("margins", DEFAULTS), **over)
    return found.state, found.confidence


@pytest.mark.parametrize(
    ("green", "source"),
    [(greens.bowl(), Source.OUTLINE), (greens.plane(), Source.MASK), (greens.unreadable(), Source.EXTENTS)],
)
def test_source_is_the_best_the_green_has(green, source):
    """ADV-49."""
    assert green.source is source
    assert surface.candidate(green, LocalPoint(10, 8), margins=DEFAULTS).source is source


@pytest.mark.parametrize(
    ("x_m", "expected"),
    [(10, (ON, 0.97)), (0.8, (UNKNOWN, 0.60)), (0.5, (OFF, 0.85)), (-0.7, (UNKNOWN, 0.50)), (-2, (OFF, 0.95))],
)
def test_candidate_by_mask_gives_the_published_vectors(x_m, expected):
    """ADV-50: hole 2, y = 8."""
    assert classify(greens.plane(), x_m) == expected


@pytest.mark.parametrize(("x_m", "node"), [(0.6, 3), (0.0999, 0), (0.1, 1), (-3, 0), (25, 100)])
def test_node_of_rounds_to_the_nearest_and_stays_on_the_grid(x_m, node):
    """ADV-50: truncating 0.6 / 0.2 would give 2."""
    assert surface.node_of(greens.plane(), LocalPoint(x_m, 8))[0] == node


@pytest.mark.parametrize(
    ("x_m", "expected"),
    [
        (10, (ON, 0.97)),
        (18, (ON, 0.97)),
        (18.8, (UNKNOWN, 0.60)),
        (19.4, (UNKNOWN, 0.60)),
        (20, (OFF, 0.95)),
        (30, (OFF, 0.95)),
    ],
)
def test_candidate_by_outline_leaves_a_band_on_both_sides(x_m, expected):
    """ADV-50: hole 3, margin 0.5 m, the edge near x = 19."""
    assert classify(greens.bowl(), x_m) == expected


def test_signed_distance_is_positive_inside():
    """ADV-65: 0.998 m at x = 18, -1.0 m at x = 20."""
    assert surface.signed_distance_m(greens.bowl(), LocalPoint(18, 8)) == pytest.approx(0.998, abs=0.001)
    assert surface.signed_distance_m(greens.bowl(), LocalPoint(20, 8)) == pytest.approx(-1.0, abs=0.001)


def test_outline_may_run_in_either_direction():
    """ADV-41 manifest: either direction."""
    reversed_ = Green(**greens.EXTENTS, outline=greens.ELLIPSE[::-1])

    assert classify(reversed_, 18) == (ON, 0.97)


@pytest.mark.parametrize(
    ("x_m", "expected"), [(0, (ON, 0.90)), (20, (ON, 0.90)), (20.9, (UNKNOWN, 0.50)), (21.1, (OFF, 0.95))]
)
def test_candidate_by_extents_includes_the_edges(x_m, expected):
    """ADV-50: the rectangle decides when there is nothing better."""
    assert classify(greens.unreadable(), x_m) == expected


def test_candidate_outside_a_corner_measures_the_true_distance():
    """ADV-50: e is the distance to the rectangle, not along one axis: 0.8 m and 0.8 m make 1.13 m."""
    assert classify(greens.plane(), -0.8, -0.8) == (OFF, 0.95)


def test_candidate_warns_where_it_has_no_data():
    """ADV-50: NO_DATA_NODE inside the mask's holes, GRID_UNREADABLE when the extents stand in."""
    no_data = surface.candidate(greens.plane(), LocalPoint(0.5, 8), margins=DEFAULTS)
    no_grid = surface.candidate(greens.unreadable(), LocalPoint(0.5, 8), margins=DEFAULTS)

    assert [text.split(":")[0] for text in (*no_data.warnings, *no_grid.warnings)] == [
        "NO_DATA_NODE",
        "GRID_UNREADABLE",
    ]


@pytest.mark.parametrize(
    ("accuracy_m", "margin_m"), [(None, 0.5), (0, 0.5), (3, 3), (9, 5), (15, 5), (15.1, 15.1), (90, 90)]
)
def test_margin_follows_the_accuracy_of_the_fix(accuracy_m, margin_m):
    """ADV-51: at most 5 m up to SURFACE_ACCURACY_MAX_M, the accuracy itself above it."""
    assert DEFAULTS.around_edge_m(accuracy_m) == margin_m


def test_candidate_by_outline_with_a_poor_fix_is_undecided():
    """ADV-65: step 7 with accuracy 3 m."""
    assert classify(greens.bowl(), 18, accuracy_m=3) == (UNKNOWN, 0.60)


@pytest.mark.parametrize(
    ("green", "x_m", "accuracy_m", "expected"),
    [
        (greens.plane(), 10, 3, (ON, 0.97)),
        (greens.plane(), 2, 1.0, (ON, 0.97)),
        (greens.plane(), 2, 1.3, (UNKNOWN, 0.50)),  # the no-data node at x = 0.8 is 1.2 m away
        (greens.plane(), -2, 2.9, (OFF, 0.95)),
        (greens.plane(), -2, 3.1, (UNKNOWN, 0.50)),  # the valid node at x = 1 is 3.0 m away
        (greens.plane(), 0.5, 0.6, (UNKNOWN, 0.50)),
        (greens.plane(), 0.8, 0.1, (UNKNOWN, 0.60)),
        (greens.flat(), 1, 1.1, (UNKNOWN, 0.50)),  # the edge of the extents is 1.0 m away
        (greens.flat(), 1, 0.9, (ON, 0.97)),
        (greens.unreadable(), 1, 1.1, (UNKNOWN, 0.50)),
        (greens.unreadable(), -3, 2.9, (OFF, 0.95)),
        (greens.unreadable(), -3, 3.1, (UNKNOWN, 0.50)),
        (greens.plane(), -60, 9000, (UNKNOWN, 0.50)),
    ],
)
def test_accuracy_gates_nodes_and_extents(green, x_m, accuracy_m, expected):
    """ADV-52: decisive only when the other side is farther than the margin."""
    assert classify(green, x_m, accuracy_m=accuracy_m) == expected
