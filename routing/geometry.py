"""Where a position lies on a green: WGS84 degrees to green-local metres and back (ADV-45 to ADV-47). Pure.

Three frames: `wgs84` in degrees; the `projected` grid of an EPSG code in metres, east and north; `green_local_m`,
metres along the axes of the elevation grid. Local axes are grid axes: convergence and scale of the projection stay in.
The origin corner, the axis directions and the sign of the rotation come from the manifest and nowhere else (ADV-105).
"""

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import ProjError

from routing.errors import TransformFailed

WGS84_EPSG = 4326
_ELLIPSOID = Geod(ellps="WGS84")


@dataclass(frozen=True, slots=True)
class Wgs84:
    """Latitude and longitude in decimal degrees, never rounded (ADV-5)."""

    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class LocalPoint:
    """Metres in frame `green_local_m`."""

    x_m: float
    y_m: float


@dataclass(frozen=True, slots=True)
class GreenFrame:
    """How one green's local axes lie on the projected grid; every number is manifest data."""

    epsg: int
    origin_east_m: float
    origin_north_m: float
    offset_x_m: float
    offset_y_m: float
    rotation_deg: float
    rotation_direction: Literal["CCW", "CW", "UNCONFIRMED"]
    shift_east_m: float = 0.0
    shift_north_m: float = 0.0

    @property
    def is_unconfirmed(self) -> bool:
        """Whether a rotation is applied whose sign nobody has confirmed; it then turns counter-clockwise."""
        return self.rotation_direction == "UNCONFIRMED" and self.rotation_deg != 0

    @property
    def turn(self) -> tuple[float, float]:
        """Cosine and sine of the counter-clockwise angle from grid axes to local axes."""
        angle_rad = math.radians(-self.rotation_deg if self.rotation_direction == "CW" else self.rotation_deg)
        return math.cos(angle_rad), math.sin(angle_rad)


def metric_fault(epsg: int) -> str | None:
    """Why this EPSG code cannot carry a green, or None: it must be projected, with the metre on both axes (ADV-43)."""
    try:
        crs = CRS.from_epsg(epsg)
    except ProjError:
        return f"EPSG:{epsg} is not known"
    if not crs.is_projected:
        return f"EPSG:{epsg} is not a projected system"
    units = {axis.unit_name for axis in crs.axis_info}
    return None if units == {"metre"} else f"EPSG:{epsg} measures in {', '.join(sorted(units))}, not in metres"


def to_projected(position: Wgs84, frame: GreenFrame) -> tuple[float, float]:
    """East and north in metres on the projected grid, the frame's shift included. Raises TransformFailed."""
    east_m, north_m = _transformer(frame.epsg).transform(position.lon, position.lat)
    _require_finite(east_m, north_m)
    return east_m + frame.shift_east_m, north_m + frame.shift_north_m


def from_projected(east_m: float, north_m: float, frame: GreenFrame) -> LocalPoint:
    """Subtract the origin, rotate, then add the offsets; no other order gives the vectors of ADV-47."""
    dx_m, dy_m = east_m - frame.origin_east_m, north_m - frame.origin_north_m
    cos, sin = frame.turn
    return LocalPoint(
        dx_m * cos - dy_m * sin + frame.offset_x_m,
        dx_m * sin + dy_m * cos + frame.offset_y_m,
    )


@lru_cache(maxsize=1024)  # one call asks several times for the same ball and cup, and so does the next
def to_local(position: Wgs84, frame: GreenFrame) -> LocalPoint:
    """The position in `green_local_m`. Raises TransformFailed when the projection has no finite answer there."""
    return from_projected(*to_projected(position, frame), frame)


def to_wgs84(point: LocalPoint, frame: GreenFrame) -> Wgs84:
    """The chain of `to_local` backwards; a round trip closes within 1e-6 m. Raises TransformFailed."""
    cos, sin = frame.turn
    rx_m, ry_m = point.x_m - frame.offset_x_m, point.y_m - frame.offset_y_m
    east_m = rx_m * cos + ry_m * sin + frame.origin_east_m - frame.shift_east_m
    north_m = -rx_m * sin + ry_m * cos + frame.origin_north_m - frame.shift_north_m
    lon, lat = _transformer(frame.epsg).transform(east_m, north_m, direction="INVERSE")
    _require_finite(lon, lat)
    return Wgs84(lat, lon)


def bearing_deg(start: Wgs84, end: Wgs84) -> float:
    """Geodesic bearing from `start` to `end`, clockwise from true north, in [0, 360)."""
    azimuth_deg, _, _ = _ELLIPSOID.inv(start.lon, start.lat, end.lon, end.lat)
    return float(azimuth_deg) % 360.0 % 360.0  # a tiny negative azimuth gives 360.0 the first time


def north_in_local(point: LocalPoint, frame: GreenFrame) -> tuple[float, float]:
    """Unit vector of true north at `point`, in local axes; what separates it from +y is rotation and convergence."""
    here = to_wgs84(point, frame)
    lon, lat, _ = _ELLIPSOID.fwd(here.lon, here.lat, 0.0, 100.0)
    there = to_local(Wgs84(lat, lon), frame)
    dx_m, dy_m = there.x_m - point.x_m, there.y_m - point.y_m
    length_m = math.hypot(dx_m, dy_m)
    return dx_m / length_m, dy_m / length_m


def distance_m(start: LocalPoint, end: LocalPoint) -> float:
    """Plan distance in metres."""
    return math.hypot(end.x_m - start.x_m, end.y_m - start.y_m)


@cache
def _transformer(epsg: int) -> Transformer:
    # Building one takes milliseconds, using it microseconds; pyproj keeps a context per thread inside.
    return Transformer.from_crs(WGS84_EPSG, epsg, always_xy=True)


def _require_finite(*values: float) -> None:
    if not all(map(math.isfinite, values)):
        raise TransformFailed
