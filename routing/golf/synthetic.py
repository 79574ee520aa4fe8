"""The four fictional greens Baton ships, as bytes that are the same on every run (ADV-48, ADV-88). Pure."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from routing import geometry
from routing.geometry import GreenFrame, LocalPoint
from routing.golf import manifest

COURSE_ID = "baton_links"
_SPACING_M, _NX, _NY = 0.2, 101, 81
_X_MAX_M, _Y_MAX_M = 20.0, 16.0
_NO_DATA = -1.0
_EPSG = 32630
_ELLIPSE = [
    {
        "x_m": round(10 + 9 * math.cos(2 * math.pi * k / 64), 3),
        "y_m": round(8 + 7 * math.sin(2 * math.pi * k / 64), 3),
    }
    for k in range(64)
]


@dataclass(frozen=True, slots=True)
class Shape:
    """One green: its key, the height in metres at (x, y) metres, and what its outline and mask are."""

    dtm_id: str
    height_m: Callable[[float, float], float]
    has_outline: bool = False
    is_valid: Callable[[int, int], bool] = lambda i, j: True


SHAPES = {
    1: Shape("syn_flat_20cm", lambda x, y: 1.0),
    2: Shape(
        "syn_plane_20cm",
        lambda x, y: 1 + 0.02 * x,
        is_valid=lambda i, j: 5 <= i <= 95 and 5 <= j <= 75,
    ),
    3: Shape("syn_bowl_20cm", lambda x, y: 1 + 0.002 * ((x - 10) ** 2 + (y - 8) ** 2), has_outline=True),
    4: Shape("syn_two_tier_20cm", lambda x, y: 1 + 0.15 * (1 + math.tanh((x - 10) / 2)), has_outline=True),
}


def files() -> dict[str, bytes]:
    """Every file of the shipped course by its path below the root, the registry included."""
    made: dict[str, bytes] = {}
    entries = []
    for hole_id, shape in SHAPES.items():
        folder = f"{COURSE_ID}/hole_{hole_id}"
        entry: dict[str, Any] = {
            "course_id": COURSE_ID,
            "hole_id": hole_id,
            "green_id": f"green_{hole_id}",
            "dtm_id": shape.dtm_id,
            "manifest_path": f"{folder}/manifest.json",
            "grid_path": f"{folder}/{shape.dtm_id}.txt",
            "hole_geometry_path": f"{folder}/hole.json",
        }
        grid = _grid(shape)
        made[entry["grid_path"]] = grid
        made[entry["manifest_path"]] = _json(_manifest(hole_id, shape, grid))
        made[entry["hole_geometry_path"]] = _json(_hole())
        entries.append(entry)
    made["datasets.json"] = _json({"contract_version": manifest.CONTRACT_VERSION, "datasets": entries})
    return made


def _height_m(shape: Shape, i: int, j: int) -> float:
    return shape.height_m(i * _SPACING_M, j * _SPACING_M) if shape.is_valid(i, j) else _NO_DATA


def _grid(shape: Shape) -> bytes:
    rows = ("\t".join(f"{_height_m(shape, i, j):.6f}" for j in range(_NY)) for i in range(_NX))
    return "".join(f"{row}\n" for row in rows).encode()


def _manifest(hole_id: int, shape: Shape, grid: bytes) -> dict[str, Any]:
    document: dict[str, Any] = {
        "contract_version": manifest.CONTRACT_VERSION,
        "dtm_id": shape.dtm_id,
        "course_id": COURSE_ID,
        "hole_id": hole_id,
        "green_id": f"green_{hole_id}",
        "dataset_version": "1.0.0",
        "grid": {
            "file": f"{shape.dtm_id}.txt",
            "spacing_m": _SPACING_M,
            "rows": _NX,
            "cols": _NY,
            "no_data_value": _NO_DATA,
            "format": "ascii_tab",
            "value_semantics": "relative_elevation_m",
            "axis_mapping": "x_row_y_col",
        },
        "extents_m": {"x_max_m": _X_MAX_M, "y_max_m": _Y_MAX_M},
        "transform": _transform(hole_id),
        "defaults": {"stimp": {"ft": 10, "in": 0}},
        "hole_location_local_m": {"x_m": 10.0, "y_m": 8.0},
        "tie_points": _tie_points(hole_id),
        "derived_stats": _stats(shape),
        "hashes": {"grid_sha256": hashlib.sha256(grid).hexdigest()},
    }
    if shape.has_outline:
        document["green_outline"] = _ELLIPSE
    document["hashes"]["manifest_sha256"] = manifest.digest(document)
    return document


def _frame(hole_id: int) -> GreenFrame:
    east_m = 512000.0 + 100 * (hole_id - 1)
    if hole_id == 1:
        return GreenFrame(_EPSG, east_m, 6243500.0, 3.0, -2.0, 30.0, "CCW")
    return GreenFrame(_EPSG, east_m, 6243500.0, 0.0, 0.0, 0.0, "CCW")


def _transform(hole_id: int) -> dict[str, Any]:
    frame = _frame(hole_id)
    return {
        "epsg_projected": frame.epsg,
        "sp_origin_x_m": frame.origin_east_m,
        "sp_origin_y_m": frame.origin_north_m,
        "local_origin_wgs84": _wgs84(LocalPoint(frame.offset_x_m, frame.offset_y_m), frame),
        "local_offset_x_m": frame.offset_x_m,
        "local_offset_y_m": frame.offset_y_m,
        "rotation_offset_deg": frame.rotation_deg,
        "axis_convention": {
            "origin_description": "The projected origin, rotated about itself, lies at the local offsets.",
            "x_axis_description": "Along the rows of the grid file, first row at x = 0.",
            "y_axis_description": "Along the columns of the grid file, first column at y = 0.",
            "rotation_positive_direction": frame.rotation_direction,
        },
    }


def _tie_points(hole_id: int) -> list[dict[str, Any]]:
    frame = _frame(hole_id)
    places = {"centre": LocalPoint(10.0, 8.0), "far corner": LocalPoint(_X_MAX_M, _Y_MAX_M)}
    return [
        {"name": name, "local_m": {"x_m": place.x_m, "y_m": place.y_m}, "wgs84": _wgs84(place, frame)}
        for name, place in places.items()
    ]


def _wgs84(point: LocalPoint, frame: GreenFrame) -> dict[str, float]:
    position = geometry.to_wgs84(point, frame)
    return {"lat": round(position.lat, 9), "lon": round(position.lon, 9)}


def _stats(shape: Shape) -> dict[str, float]:
    nodes = [(i, j) for i in range(_NX) for j in range(_NY)]
    valid = [_height_m(shape, i, j) for i, j in nodes if shape.is_valid(i, j)]
    return {
        "no_data_ratio": round(1 - len(valid) / len(nodes), 6),
        "valid_min": round(min(valid), 6),
        "valid_max": round(max(valid), 6),
    }


def _hole() -> dict[str, Any]:
    areas = [
        ("green", _ELLIPSE),
        ("fairway", _box(-340, -10, -7, 23)),
        ("tee", _box(-352, -346, 5, 11)),
        ("bunker", _box(-8, -1, -6, 0)),
        ("water", _box(-120, -90, -40, -10)),
        # Nothing is said of where out of bounds ends; 500 m is farther than any ball of the default bag flies aside.
        ("ob", _box(-400, 60, 60, 500)),
        ("ob", _box(-400, 60, -500, -60)),
    ]
    return {
        "contract_version": manifest.CONTRACT_VERSION,
        "frame": "green_local_m",
        "par": 4,
        "polygons": [{"kind": kind, "points": points} for kind, points in areas],
    }


def _box(x_min_m: float, x_max_m: float, y_min_m: float, y_max_m: float) -> list[dict[str, float]]:
    corners = [(x_min_m, y_min_m), (x_max_m, y_min_m), (x_max_m, y_max_m), (x_min_m, y_max_m)]
    return [{"x_m": float(x_m), "y_m": float(y_m)} for x_m, y_m in corners]


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
