"""Geodesy against the vectors of ADV-47 and the measured site of the pilot course."""

import math

import pytest

from routing import geometry
from routing.errors import TransformFailed
from routing.geometry import GreenFrame, LocalPoint, Wgs84

LINKS = {
    1: GreenFrame(32630, 512000, 6243500, 3, -2, 30, "CCW"),
    2: GreenFrame(32630, 512100, 6243500, 0, 0, 0, "CCW"),
    3: GreenFrame(32630, 512200, 6243500, 0, 0, 0, "CCW"),
    4: GreenFrame(32630, 512300, 6243500, 0, 0, 0, "CCW"),
}
VECTORS = [
    (1, 56.336105214, -2.805726151, 512011.062, 6243505.160, 10.000, 8.000),
    (1, 56.336103801, -2.805743339, 512010.000, 6243505.000, 9.160, 7.330),
    (2, 56.336128337, -2.804206626, 512105.000, 6243508.000, 5.000, 8.000),
    (2, 56.336128451, -2.804279411, 512100.500, 6243508.000, 0.500, 8.000),
    (3, 56.336125642, -2.802508306, 512210.000, 6243508.000, 10.000, 8.000),
    (3, 56.336125436, -2.802378910, 512218.000, 6243508.000, 18.000, 8.000),
    (3, 56.336125415, -2.802365970, 512218.800, 6243508.000, 18.800, 8.000),
    (3, 56.336125384, -2.802346561, 512220.000, 6243508.000, 20.000, 8.000),
    (3, 56.336125126, -2.802184816, 512230.000, 6243508.000, 30.000, 8.000),
    (4, 56.336096204, -2.800955696, 512306.000, 6243505.000, 6.000, 5.000),
    (4, 56.336149903, -2.800826020, 512314.000, 6243511.000, 14.000, 11.000),
]
UTAH = GreenFrame(3675, 486435.36, 2214826.62, 0, 0, 0, "CCW")
SPRINKLERS = [
    (40.268285241, -111.659205198, 23.840, 3.837),
    (40.268470777, -111.659143197, 29.150, 24.428),
    (40.268450741, -111.659292905, 16.413, 22.226),
    (40.268254887, -111.659286195, 16.945, 0.479),
]


@pytest.mark.parametrize(("hole", "lat", "lon", "east_m", "north_m", "x_m", "y_m"), VECTORS)
def test_to_local_gives_the_published_vectors(hole, lat, lon, east_m, north_m, x_m, y_m):
    """ADV-47: E, N, x and y within 2 mm."""
    position = Wgs84(lat, lon)

    assert geometry.to_projected(position, LINKS[hole]) == pytest.approx((east_m, north_m), abs=0.002)
    local = geometry.to_local(position, LINKS[hole])
    assert (local.x_m, local.y_m) == pytest.approx((x_m, y_m), abs=0.002)


@pytest.mark.parametrize(("lat", "lon", "x_m", "y_m"), SPRINKLERS)
def test_to_local_agrees_with_a_surveyed_site_in_another_system(lat, lon, x_m, y_m):
    """ADV-45: NAD83(NSRS2007) / Utah Central, four sprinkler heads."""
    local = geometry.to_local(Wgs84(lat, lon), UTAH)

    assert (local.x_m, local.y_m) == pytest.approx((x_m, y_m), abs=0.002)


def test_from_projected_rotates_before_it_adds_offsets():
    """ADV-47: delta (10, 5), 30 degrees, offset (3, -2); (9.758, 9.098) is the wrong order."""
    local = geometry.from_projected(512010, 6243505, LINKS[1])

    assert (round(local.x_m, 3), round(local.y_m, 3)) == (9.160, 7.330)


@pytest.mark.parametrize(("direction", "y_m"), [("CCW", 10.0), ("UNCONFIRMED", 10.0), ("CW", -10.0)])
def test_from_projected_turns_in_the_direction_the_manifest_names(direction, y_m):
    """ADV-45: counter-clockwise positive; CW negates; UNCONFIRMED acts as CCW."""
    frame = GreenFrame(32630, 0, 0, 0, 0, 90, direction)

    local = geometry.from_projected(10, 0, frame)

    assert (local.x_m, local.y_m) == pytest.approx((0, y_m))


@pytest.mark.parametrize(
    ("direction", "rotation_deg", "expected"), [("UNCONFIRMED", 5, True), ("UNCONFIRMED", 0, False), ("CW", 5, False)]
)
def test_frame_is_unconfirmed_only_with_an_angle(direction, rotation_deg, expected):
    """ADV-45: the warning is about a non-zero angle of unknown sign."""
    assert GreenFrame(32630, 0, 0, 0, 0, rotation_deg, direction).is_unconfirmed is expected


@pytest.mark.parametrize("frame", [LINKS[1], UTAH, GreenFrame(32630, 512000, 6243500, -7, 4, 200, "CW", 1.4, -0.4)])
@pytest.mark.parametrize(("x_m", "y_m"), [(0, 0), (12.345678, 3.3), (-350, 60)])
def test_to_wgs84_closes_the_round_trip(frame, x_m, y_m):
    """ADV-45: within 1e-6 m, shift and rotation included."""
    back = geometry.to_local(geometry.to_wgs84(LocalPoint(x_m, y_m), frame), frame)

    assert (back.x_m, back.y_m) == pytest.approx((x_m, y_m), abs=1e-6)


def test_to_projected_adds_the_shift_before_the_origin():
    """ADV-45 step 2: a survey in another realisation is moved as a whole."""
    shifted = GreenFrame(32630, 512100, 6243500, 0, 0, 0, "CCW", shift_east_m=1.4, shift_north_m=-0.4)

    local = geometry.to_local(Wgs84(56.336128337, -2.804206626), shifted)

    assert (local.x_m, local.y_m) == pytest.approx((6.4, 7.6), abs=0.002)


def test_to_local_refuses_a_position_without_a_finite_answer():
    """ADV-46."""
    with pytest.raises(TransformFailed):
        geometry.to_local(Wgs84(math.nan, 0), LINKS[1])


@pytest.mark.parametrize(("epsg", "word"), [(2234, "US survey foot"), (4326, "not a projected"), (999999, "not known")])
def test_metric_fault_names_what_is_wrong_with_a_system(epsg, word):
    """ADV-43: feet, degrees and unknown codes."""
    assert word in (geometry.metric_fault(epsg) or "")


@pytest.mark.parametrize("epsg", [32630, 3675])
def test_metric_fault_accepts_projected_metres(epsg):
    """ADV-43."""
    assert geometry.metric_fault(epsg) is None


@pytest.mark.parametrize(("lat", "lon", "expected_deg"), [(57, -2, 0), (56, -1, 89.6), (55, -2, 180), (56, -3, 270.4)])
def test_bearing_is_clockwise_from_true_north(lat, lon, expected_deg):
    """ADV-4."""
    assert geometry.bearing_deg(Wgs84(56, -2), Wgs84(lat, lon)) == pytest.approx(expected_deg, abs=0.1)


def test_bearing_never_reaches_360():
    """ADV-4: [0, 360), also when the azimuth is a hair below zero."""
    assert geometry.bearing_deg(Wgs84(0, 0), Wgs84(1, -1e-18)) < 360


def test_north_in_local_turns_with_the_green():
    """ADV-46: hole 1 is turned by 30 degrees, hole 2 by convergence alone."""
    x, y = geometry.north_in_local(LocalPoint(10, 8), LINKS[1])

    assert math.degrees(math.atan2(-x, y)) == pytest.approx(30, abs=0.3)
    assert geometry.north_in_local(LocalPoint(10, 8), LINKS[2])[1] == pytest.approx(1, abs=1e-4)
