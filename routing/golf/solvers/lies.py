"""Which area of a hole each of very many points lies in, exactly and fast (ADV-88). Pure.

A raster knows the answer for every cell no border runs through; points in the other cells, and outside the raster, are
asked of the polygons themselves.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from routing.geometry import LocalPoint
from routing.golf.hole_map import HoleMap, Lie

Floats = npt.NDArray[np.floating[Any]]
Codes = npt.NDArray[np.uint8]

ORDER = tuple(Lie)  # a code is a place in this order, in which overlapping areas win
ROUGH = ORDER.index(Lie.ROUGH)
_UNDECIDED = 255
_CELL_M, _MARGIN_M, _MOST_CELLS = 0.5, 40.0, 2_000_000
_GREEN_WITHOUT_A_MAP_M = 10.0


@dataclass(frozen=True)
class Lies:
    """The areas of a hole.

    raster: (nx, ny) codes, cell (1, 1) beginning at (x0_m, y0_m); its rim is undecided, and so is all that lies
    outside.
    """

    areas: tuple[tuple[int, shapely.Polygon], ...]
    raster: Codes
    x0_m: float = 0.0
    y0_m: float = 0.0
    cell_m: float = _CELL_M

    def at(self, x_m: Floats, y_m: Floats) -> Codes:
        """Codes of n points; x_m, y_m: (n,)."""
        nx, ny = self.raster.shape
        i = np.clip((x_m - self.x0_m) * (1 / self.cell_m) + 1, 0, nx - 1).astype(np.int32)
        j = np.clip((y_m - self.y0_m) * (1 / self.cell_m) + 1, 0, ny - 1).astype(np.int32)
        codes = self.raster.ravel().take(i * np.int32(ny) + j)
        open_ = np.flatnonzero(codes == _UNDECIDED)
        codes[open_] = _exactly(self.areas, x_m[open_], y_m[open_])
        return codes

    def of(self, point: LocalPoint) -> Lie:
        """The lie of one point."""
        return ORDER[int(_exactly(self.areas, np.array([point.x_m]), np.array([point.y_m]))[0])]


def of_map(hole: HoleMap) -> Lies:
    """The areas of a hole, with a raster over all that is not out of bounds."""
    polygons = (shapely.Polygon([(point.x_m, point.y_m) for point in points]) for _, points in hole.areas)
    areas = _prepared(zip((ORDER.index(lie) for lie, _ in hole.areas), polygons, strict=True))
    within = [polygon for code, polygon in areas if ORDER[code] is not Lie.OB]
    if not within:
        return Lies(areas, _NO_RASTER)
    x0_m, y0_m, x1_m, y1_m = shapely.total_bounds(within) + np.array([-1, -1, 1, 1]) * _MARGIN_M
    cell_m = max(_CELL_M, float(np.sqrt((x1_m - x0_m) * (y1_m - y0_m) / _MOST_CELLS)))
    x_m, y_m = (np.arange(low_m + cell_m / 2, high_m, cell_m) for low_m, high_m in ((x0_m, x1_m), (y0_m, y1_m)))
    middles = (axis.ravel() for axis in np.meshgrid(x_m, y_m, indexing="ij"))
    raster = np.pad(_exactly(areas, *middles).reshape(x_m.size, y_m.size), 1, constant_values=_UNDECIDED)
    for _, polygon in areas:
        _mark_border(raster[1:-1, 1:-1], polygon, np.array([x0_m, y0_m]), cell_m)
    return Lies(areas, raster, float(x0_m), float(y0_m), cell_m)


def without_map(pin: LocalPoint) -> Lies:
    """A hole of which nothing is known: rough, and a green around the pin (ADV-89)."""
    disc = shapely.Point(pin.x_m, pin.y_m).buffer(_GREEN_WITHOUT_A_MAP_M, quad_segs=32)
    return Lies(_prepared([(ORDER.index(Lie.GREEN), disc)]), _NO_RASTER)


def _prepared(areas: Iterable[tuple[int, shapely.Polygon]]) -> tuple[tuple[int, shapely.Polygon], ...]:
    """In the order in which they win."""
    ordered = tuple(sorted(areas, key=lambda area: area[0]))
    for _, polygon in ordered:
        shapely.prepare(polygon)
    return ordered


def _exactly(areas: tuple[tuple[int, shapely.Polygon], ...], x_m: Floats, y_m: Floats) -> Codes:
    """The first area that contains each point, else rough."""
    codes = np.full(x_m.size, ROUGH, dtype=np.uint8)
    free = np.ones(x_m.size, dtype=bool)
    for code, polygon in areas:
        left_m, low_m, right_m, high_m = polygon.bounds
        near = np.flatnonzero(free & (x_m >= left_m) & (x_m <= right_m) & (y_m >= low_m) & (y_m <= high_m))
        hit = near[shapely.contains_xy(polygon, x_m[near], y_m[near])]
        codes[hit], free[hit] = code, False
    return codes


def _mark_border(raster: Codes, polygon: shapely.Polygon, origin_m: Floats, cell_m: float) -> None:
    """Take back the answer for every cell the polygon's border touches."""
    corners = shapely.get_coordinates(shapely.segmentize(polygon.exterior, cell_m / 2))
    cells = ((corners - origin_m) / cell_m).astype(int)
    around = np.array([(di, dj) for di in (-1, 0, 1) for dj in (-1, 0, 1)])
    near = np.unique((cells[:, None] + around).reshape(-1, 2), axis=0)
    near = near[((near >= 0) & (near < raster.shape)).all(axis=1)]
    low_m = near * cell_m + origin_m
    boxes = shapely.box(*low_m.T, *(low_m + cell_m).T)
    touched = near[shapely.intersects(polygon.exterior, boxes)]
    raster[touched[:, 0], touched[:, 1]] = _UNDECIDED


_NO_RASTER: Codes = np.full((1, 1), _UNDECIDED, dtype=np.uint8)
