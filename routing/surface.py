"""What a ball lies on, from one position alone: the candidate surface state (ADV-49 to ADV-52). Pure.

Everything is metres in frame `green_local_m`. One source decides for a green, sources are never mixed: its outline,
else the nodes of its elevation grid that hold data (the mask), else the rectangle of its extents.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt
import shapely

from routing.geometry import LocalPoint

# Projection and back is exact to well under this, so a point on an edge stays on it.
_EDGE_TOLERANCE_M = 1e-6
_WIDEST_FITTED_MARGIN_M = 5.0  # ADV-51

NO_DATA_NODE = "NO_DATA_NODE: the nearest grid node holds no data"
GRID_UNREADABLE = "GRID_UNREADABLE: the elevation grid could not be read"


class Surface(StrEnum):
    """What the ball lies on, as the wire spells it; `TRANSITION` is reserved and never produced."""

    ON_GREEN = "ON_GREEN"
    OFF_GREEN = "OFF_GREEN"
    UNKNOWN = "UNKNOWN"


class Source(StrEnum):
    """What decides for a green."""

    OUTLINE = "outline"
    MASK = "mask"
    EXTENTS = "extents"


@dataclass(frozen=True, slots=True)
class Margins:
    """Widths of the band in which nothing is decided, metres (`SURFACE_*`, `UNKNOWN_MARGIN_M`)."""

    surface_m: float = 0.5
    unknown_m: float = 1.0
    accuracy_max_m: float = 15.0

    def around_edge_m(self, accuracy_m: float | None) -> float:
        """The margin for a fix of this accuracy; a poor fix is decisive only when wholly clear of the edge (ADV-51)."""
        if accuracy_m is None:
            return self.surface_m
        if accuracy_m > self.accuracy_max_m:
            return accuracy_m
        return min(_WIDEST_FITTED_MARGIN_M, max(self.surface_m, accuracy_m))


@dataclass(frozen=True)
class Green:
    """The extent of one green.

    valid: (nx, ny) bool, node (i, j) at x = i * spacing_m, y = j * spacing_m; None when the grid could not be read.
    outline: simple polygon in `green_local_m`, or None.
    """

    x_max_m: float
    y_max_m: float
    spacing_m: float
    valid: npt.NDArray[np.bool_] | None = None
    outline: tuple[LocalPoint, ...] | None = None

    @property
    def source(self) -> Source:
        """What decides for this green (ADV-49)."""
        if self.outline is not None:
            return Source.OUTLINE
        return Source.EXTENTS if self.valid is None else Source.MASK

    @cached_property
    def polygon(self) -> shapely.Polygon:
        """The outline, prepared for repeated questions."""
        polygon = shapely.Polygon([(point.x_m, point.y_m) for point in self.outline or ()])
        shapely.prepare(polygon)
        return polygon

    def outside_extents_m(self, point: LocalPoint) -> float:
        """Distance from the rectangle of the extents, 0 inside and on its edges."""
        beyond_x_m = max(-point.x_m, point.x_m - self.x_max_m, 0.0)
        beyond_y_m = max(-point.y_m, point.y_m - self.y_max_m, 0.0)
        beyond_m = math.hypot(beyond_x_m, beyond_y_m)
        return beyond_m if beyond_m > _EDGE_TOLERANCE_M else 0.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one position says, before any memory of earlier ones."""

    state: Surface
    confidence: float
    source: Source
    margin_m: float
    warnings: tuple[str, ...] = ()

    @property
    def is_decisive(self) -> bool:
        """Whether it says on or off at all."""
        return self.state is not Surface.UNKNOWN


def candidate(green: Green, ball: LocalPoint, *, margins: Margins, accuracy_m: float | None = None) -> Candidate:
    """Classify one position by the green's own source; `accuracy_m` is the radius of the fix when it is known."""
    margin_m = margins.around_edge_m(accuracy_m)
    if green.source is Source.OUTLINE:
        state, confidence = by_distance(signed_distance_m(green, ball), margin_m)
        return Candidate(state, confidence, green.source, margin_m)
    state, confidence, warnings = _by_nodes(green, ball, margins.unknown_m)
    if accuracy_m is not None and _edge_is_near(green, ball, state, margin_m):
        state, confidence = Surface.UNKNOWN, 0.50
    return Candidate(state, confidence, green.source, margin_m, warnings)


def signed_distance_m(green: Green, ball: LocalPoint) -> float:
    """Distance to the outline, positive inside."""
    point = shapely.Point(ball.x_m, ball.y_m)
    distance_m = float(green.polygon.exterior.distance(point))
    return distance_m if green.polygon.contains(point) else -distance_m


def by_distance(inside_m: float, margin_m: float) -> tuple[Surface, float]:
    """State and confidence by the signed distance to an outline and the width of the band around it (ADV-50)."""
    if inside_m > margin_m:
        return Surface.ON_GREEN, 0.97
    if inside_m < -margin_m:
        return Surface.OFF_GREEN, 0.95
    return Surface.UNKNOWN, 0.60


def node_of(green: Green, ball: LocalPoint) -> tuple[int, int]:
    """Indices of the nearest node, clipped to the grid; truncation would put 0.6 / 0.2 on node 2 (ADV-50)."""
    nx, ny = round(green.x_max_m / green.spacing_m), round(green.y_max_m / green.spacing_m)
    i = math.floor(ball.x_m / green.spacing_m + 0.5)
    j = math.floor(ball.y_m / green.spacing_m + 0.5)
    return min(max(i, 0), nx), min(max(j, 0), ny)


def _by_nodes(green: Green, ball: LocalPoint, unknown_m: float) -> tuple[Surface, float, tuple[str, ...]]:
    outside_m = green.outside_extents_m(ball)
    if outside_m > unknown_m:
        return Surface.OFF_GREEN, 0.95, ()
    if outside_m > 0:
        return Surface.UNKNOWN, 0.50, ()
    if green.valid is None:
        return Surface.ON_GREEN, 0.90, (GRID_UNREADABLE,)
    i, j = node_of(green, ball)
    if green.valid[i, j]:
        return Surface.ON_GREEN, 0.97, ()
    if green.valid[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].any():
        return Surface.UNKNOWN, 0.60, ()
    return Surface.OFF_GREEN, 0.85, (NO_DATA_NODE,)


def _edge_is_near(green: Green, ball: LocalPoint, state: Surface, margin_m: float) -> bool:
    """Whether the true position may well be on the other side of the edge (ADV-52)."""
    if state is Surface.ON_GREEN:
        to_edge_m = min(ball.x_m, green.x_max_m - ball.x_m, ball.y_m, green.y_max_m - ball.y_m)
        return to_edge_m < margin_m or (green.valid is not None and _node_is_near(~green.valid, green, ball, margin_m))
    if state is Surface.OFF_GREEN:
        if green.valid is None:
            return green.outside_extents_m(ball) < margin_m
        return _node_is_near(green.valid, green, ball, margin_m)
    return False


def _node_is_near(nodes: npt.NDArray[np.bool_], green: Green, ball: LocalPoint, margin_m: float) -> bool:
    """Whether a marked node lies closer than the margin; only the square around the ball is looked at."""
    low_i, low_j = (max(math.floor((at_m - margin_m) / green.spacing_m), 0) for at_m in (ball.x_m, ball.y_m))
    high_i, high_j = (max(math.ceil((at_m + margin_m) / green.spacing_m) + 1, 0) for at_m in (ball.x_m, ball.y_m))
    i, j = np.nonzero(nodes[low_i:high_i, low_j:high_j])
    x_m, y_m = (i + low_i) * green.spacing_m, (j + low_j) * green.spacing_m
    return bool((np.hypot(x_m - ball.x_m, y_m - ball.y_m) < margin_m).any())
