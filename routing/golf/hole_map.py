"""The areas of a hole a ball can come to rest in: fairway, bunker, water and the rest (ADV-88). Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import shapely

from routing.geometry import LocalPoint
from routing.golf.grid import Fault
from routing.golf.shapes import POINT, array, closed, integer, one_of, require


class Lie(StrEnum):
    """What a ball comes to rest on, in the order in which overlapping areas win; elsewhere is rough."""

    OB = "ob"
    WATER = "water"
    BUNKER = "bunker"
    GREEN = "green"
    TEE = "tee"
    FAIRWAY = "fairway"
    ROUGH = "rough"


@dataclass(frozen=True, slots=True)
class HoleMap:
    """Par and areas of one hole, metres in `green_local_m`."""

    par: int
    areas: tuple[tuple[Lie, tuple[LocalPoint, ...]], ...]


def parse(document: Any) -> HoleMap:
    """Read a hole geometry file. Raises FieldErrors for its shape, Fault for an area that is no polygon."""
    require(_HOLE, document)
    areas = []
    for polygon in document["polygons"]:
        points = tuple(LocalPoint(float(point["x_m"]), float(point["y_m"])) for point in polygon["points"])
        if not shapely.Polygon([(point.x_m, point.y_m) for point in points]).is_valid:
            raise Fault(f"a {polygon['kind']} area of the hole is not a simple polygon")
        areas.append((Lie(polygon["kind"]), points))
    return HoleMap(document["par"], tuple(areas))


_HOLE = closed(
    {
        "contract_version": one_of("0.1.0"),
        "frame": one_of("green_local_m"),
        "par": integer(1, 9),
        "polygons": array(
            closed(
                {
                    "kind": one_of(*(lie for lie in Lie if lie is not Lie.ROUGH)),
                    "points": array(POINT, least=3, most=10_000),
                }
            ),
            most=1000,
        ),
    }
)
