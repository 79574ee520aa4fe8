"""Shapes of JSON from files and other services (ADV-2, CON-5)."""

import math

import pytest

from routing.golf import shapes
from sessions_app.kinds import FieldErrors

SHAPE = shapes.closed(
    {"name": shapes.KEY, "at": shapes.WGS84},
    {"points": shapes.array(shapes.POINT, least=1, most=2), "stimp": shapes.STIMP, "on": shapes.boolean},
)
GOOD = {
    "name": "green_1",
    "at": {"lat": 56.3, "lon": -2},
    "points": [{"x_m": 1, "y_m": 2.5}],
    "stimp": {"ft": 0, "in": 1},
}


def found(shape: shapes.Check, value: object) -> list[tuple[str, str]]:
    try:
        shapes.require(shape, value)
    except FieldErrors as errors:
        return [(one.field, one.code) for one in errors]
    return []


def faults(**over) -> list[tuple[str, str]]:
    return found(SHAPE, {name: member for name, member in {**GOOD, **over}.items() if member is not ...})


def test_require_accepts_what_has_the_shape():
    """ADV-2: optional members may be absent."""
    assert faults() == []


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"name": ...}, ("name", "FIELD_MISSING")),
        ({"on": None}, ("on", "FIELD_MISSING")),
        ({"extra": 1}, ("extra", "FIELD_UNKNOWN")),
        ({"name": "../x"}, ("name", "FIELD_INVALID")),
        ({"name": "green_1\n"}, ("name", "FIELD_INVALID")),
        ({"name": "gréen"}, ("name", "FIELD_INVALID")),
        ({"at": {"lat": 90.1, "lon": 0}}, ("at.lat", "FIELD_INVALID")),
        ({"at": {"lat": 1, "lon": 0, "alt": 2}}, ("at.alt", "FIELD_UNKNOWN")),
        ({"at": {"lat": True, "lon": 0}}, ("at.lat", "FIELD_INVALID")),
        ({"at": {"lat": "1", "lon": 0}}, ("at.lat", "FIELD_INVALID")),
        ({"at": {"lat": math.inf, "lon": 0}}, ("at.lat", "FIELD_INVALID")),
        ({"at": {"lat": 10**400, "lon": 0}}, ("at.lat", "FIELD_INVALID")),
        ({"at": [1, 2]}, ("at", "FIELD_INVALID")),
        ({"points": []}, ("points", "FIELD_INVALID")),
        ({"points": [{"x_m": 1, "y_m": 2}, {"x_m": 1}]}, ("points[1].y_m", "FIELD_MISSING")),
        ({"stimp": {"ft": 0, "in": 0}}, ("stimp", "FIELD_INVALID")),
        ({"stimp": {"ft": 10.0, "in": 0}}, ("stimp.ft", "FIELD_INVALID")),
        ({"stimp": {"ft": 31, "in": 0}}, ("stimp.ft", "FIELD_INVALID")),
        ({"on": 1}, ("on", "FIELD_INVALID")),
    ],
)
def test_require_names_the_member_and_the_code(over, expected):
    """ADV-2: unknown, missing, mistyped, null and out of range, each with its dotted path."""
    assert faults(**over) == [expected]


def test_require_finds_everything_at_once():
    """CON-5: errors in the order of the table, unknown members last."""
    assert faults(extra=1, name=..., at={"lat": 99}) == [
        ("name", "FIELD_MISSING"),
        ("at.lat", "FIELD_INVALID"),
        ("at.lon", "FIELD_MISSING"),
        ("extra", "FIELD_UNKNOWN"),
    ]


def test_open_object_lets_strangers_pass():
    """ADV-3: a client ignores members it does not know."""
    assert found(shapes.open_object({"a": shapes.integer(1)}), {"a": 1, "b": object()}) == []
