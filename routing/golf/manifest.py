"""What a dataset manifest `0.1.0` says about one green, checked whole (ADV-41 to ADV-43). Pure.

A manifest comes from a surveyor, not from us: everything in it is doubted, and everything the code knows of a
green's axes, origin and rotation comes out of it (ADV-105).
"""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

import shapely

from routing import geometry
from routing.errors import TransformFailed
from routing.geometry import GreenFrame, LocalPoint, Wgs84
from routing.golf.grid import Fault, GridSpec
from routing.golf.shapes import (
    KEY,
    POINT,
    STIMP,
    WGS84,
    array,
    closed,
    integer,
    number,
    one_of,
    require,
    text,
)

CONTRACT_VERSION = "0.1.0"
MOST_NODES = 4_000_000  # 400 m by 400 m at 20 cm: far beyond any green
_ORIGIN_TOLERANCE_M, _TIE_POINT_TOLERANCE_M = 0.05, 0.25  # ADV-43
_EXTENTS_TOLERANCE_M = 1e-6

TRANSFORM_UNCONFIRMED = "TRANSFORM_UNCONFIRMED: the sign of the rotation is not confirmed, counter-clockwise is assumed"
DATASET_TIE_POINTS = "DATASET_TIE_POINTS: a surveyed point does not land where the manifest says"


@dataclass(frozen=True, slots=True)
class Stimp:
    """Speed of a green as the stimpmeter reads it."""

    ft: int
    inches: int

    @property
    def metres(self) -> float:
        """The roll-out in metres; 1 ft = 0.3048 m."""
        return (self.ft + self.inches / 12) * 0.3048

    def as_json(self) -> dict[str, int]:
        """The wire form."""
        return {"ft": self.ft, "in": self.inches}


@dataclass(frozen=True, slots=True)
class Manifest:
    """One green as its manifest describes it; distances are metres in `green_local_m`."""

    course_id: str
    hole_id: int
    green_id: str
    dtm_id: str
    dataset_version: str
    grid: GridSpec
    grid_file: str
    frame: GreenFrame
    x_max_m: float
    y_max_m: float
    stimp: Stimp
    hole_location: LocalPoint | None
    outline: tuple[LocalPoint, ...] | None
    warnings: tuple[str, ...]
    grid_sha256: str | None
    manifest_sha256: str | None


def parse(document: Any) -> Manifest:
    """Read a manifest. Raises FieldErrors for its shape, Fault for what it means."""
    require(_MANIFEST, document)
    grid = _grid(document["grid"])
    frame = _frame(document["transform"])
    _check_extents(document["extents_m"], grid)
    if fault := geometry.metric_fault(frame.epsg):
        raise Fault(fault)
    hashes = document.get("hashes", {})
    if hashes.get("manifest_sha256") not in (None, digest(document)):
        raise Fault("manifest_sha256 does not match the manifest")
    return Manifest(
        course_id=document["course_id"],
        hole_id=document["hole_id"],
        green_id=document["green_id"],
        dtm_id=document["dtm_id"],
        dataset_version=document["dataset_version"],
        grid=grid,
        grid_file=document["grid"]["file"],
        frame=frame,
        x_max_m=float(document["extents_m"]["x_max_m"]),
        y_max_m=float(document["extents_m"]["y_max_m"]),
        stimp=Stimp(document["defaults"]["stimp"]["ft"], document["defaults"]["stimp"]["in"]),
        hole_location=_point(document["hole_location_local_m"]) if "hole_location_local_m" in document else None,
        outline=_outline(document["green_outline"]) if "green_outline" in document else None,
        warnings=_warnings(document, frame),
        grid_sha256=hashes.get("grid_sha256"),
        manifest_sha256=hashes.get("manifest_sha256"),
    )


def digest(document: dict[str, Any]) -> str:
    """SHA-256 of the manifest as sorted, compact UTF-8 JSON without its own hash (ADV-42)."""
    bare = dict(document)
    if "hashes" in document:
        bare["hashes"] = {name: value for name, value in document["hashes"].items() if name != "manifest_sha256"}
    text_ = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text_.encode()).hexdigest()


def _grid(grid: dict[str, Any]) -> GridSpec:
    return GridSpec(
        float(grid["spacing_m"]),
        grid["rows"],
        grid["cols"],
        float(grid["no_data_value"]),
        grid.get("axis_mapping", "x_row_y_col") == "x_row_y_col",
    )


def _frame(transform: dict[str, Any]) -> GreenFrame:
    shift = transform.get("wgs84_shift_m", {})
    return GreenFrame(
        epsg=transform["epsg_projected"],
        origin_east_m=transform["sp_origin_x_m"],
        origin_north_m=transform["sp_origin_y_m"],
        offset_x_m=transform["local_offset_x_m"],
        offset_y_m=transform["local_offset_y_m"],
        rotation_deg=transform["rotation_offset_deg"],
        rotation_direction=transform["axis_convention"]["rotation_positive_direction"],
        shift_east_m=shift.get("east_m", 0.0),
        shift_north_m=shift.get("north_m", 0.0),
    )


def _check_extents(extents: dict[str, float], grid: GridSpec) -> None:
    if grid.rows * grid.cols > MOST_NODES:
        raise Fault(f"the grid has more than {MOST_NODES} nodes")
    for name, nodes in (("x_max_m", grid.nx), ("y_max_m", grid.ny)):
        if abs(extents[name] - (nodes - 1) * grid.spacing_m) > _EXTENTS_TOLERANCE_M:
            raise Fault(f"extents_m.{name} is not (nodes - 1) * spacing")


def _outline(points: list[dict[str, float]]) -> tuple[LocalPoint, ...]:
    outline = tuple(map(_point, points))
    if outline[0] == outline[-1]:
        raise Fault("green_outline repeats its first point")
    if not shapely.Polygon([(point.x_m, point.y_m) for point in outline]).is_valid:
        raise Fault("green_outline is not a simple polygon")
    return outline


def _warnings(document: dict[str, Any], frame: GreenFrame) -> tuple[str, ...]:
    """What is odd but usable. Raises Fault where a surveyed point has no place at all."""
    warnings = [TRANSFORM_UNCONFIRMED] if frame.is_unconfirmed else []
    if not (_origin_agrees(document["transform"], frame) and _tie_points_agree(document, frame)):
        warnings.append(DATASET_TIE_POINTS)
    return tuple(warnings)


def _origin_agrees(transform: dict[str, Any], frame: GreenFrame) -> bool:
    """`local_origin_wgs84`, projected and shifted, against the projected origin."""
    try:
        east_m, north_m = geometry.to_projected(_wgs84(transform["local_origin_wgs84"]), frame)
    except TransformFailed:
        return False
    return math.hypot(east_m - frame.origin_east_m, north_m - frame.origin_north_m) <= _ORIGIN_TOLERANCE_M


def _tie_points_agree(document: dict[str, Any], frame: GreenFrame) -> bool:
    for tie in document.get("tie_points", []):
        if "wgs84" in tie:
            try:
                found = geometry.to_local(_wgs84(tie["wgs84"]), frame)
            except TransformFailed:
                return False
            if geometry.distance_m(found, _point(tie["local_m"])) > _TIE_POINT_TOLERANCE_M:
                return False
    return True


def _point(value: dict[str, float]) -> LocalPoint:
    return LocalPoint(float(value["x_m"]), float(value["y_m"]))


def _wgs84(value: dict[str, float]) -> Wgs84:
    return Wgs84(float(value["lat"]), float(value["lon"]))


_LENGTH = number(-1e8, 1e8)
_SHA256 = text(r"[0-9a-f]{64}")
_MANIFEST = closed(
    {
        "contract_version": one_of(CONTRACT_VERSION),
        "dtm_id": KEY,
        "course_id": KEY,
        "hole_id": integer(1),
        "green_id": KEY,
        "dataset_version": text(r"[\s\S]+", most=128),
        "grid": closed(
            {
                "file": text(r"[\s\S]+", most=255),
                "spacing_m": number(high=1000, above=0),
                "rows": integer(2, 1_000_000),
                "cols": integer(2, 1_000_000),
                "no_data_value": number(),
            },
            {
                "format": one_of("ascii_tab"),
                "value_semantics": one_of("relative_elevation_m"),
                "axis_mapping": one_of("x_row_y_col", "x_col_y_row"),
            },
        ),
        "extents_m": closed({"x_max_m": number(above=0), "y_max_m": number(above=0)}),
        "transform": closed(
            {
                "epsg_projected": integer(1, 1_000_000),
                "sp_origin_x_m": _LENGTH,
                "sp_origin_y_m": _LENGTH,
                "local_origin_wgs84": WGS84,
                "local_offset_x_m": _LENGTH,
                "local_offset_y_m": _LENGTH,
                "rotation_offset_deg": number(-360, 360),
                "axis_convention": closed(
                    {
                        "origin_description": text(),
                        "x_axis_description": text(),
                        "y_axis_description": text(),
                        "rotation_positive_direction": one_of("CCW", "CW", "UNCONFIRMED"),
                    },
                    {"grid_mapping_note": text()},
                ),
            },
            {"wgs84_shift_m": closed({"east_m": _LENGTH, "north_m": _LENGTH})},
        ),
        "defaults": closed({"stimp": STIMP}),
    },
    {
        "hole_location_local_m": POINT,
        "green_outline": array(POINT, least=3, most=2000),
        "tie_points": array(
            closed({"name": text(most=128), "local_m": POINT}, {"wgs84": WGS84, "note": text()}), most=1000
        ),
        "derived_stats": closed({}, {"no_data_ratio": number(0, 1), "valid_min": number(), "valid_max": number()}),
        "hashes": closed({}, {"grid_sha256": _SHA256, "manifest_sha256": _SHA256}),
    },
)
