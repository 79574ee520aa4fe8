"""A green as a surveyor delivers one: another size, system and orientation than those that ship (ADV-41 to ADV-52)."""

import json
import math

import numpy as np
import pytest

from routing import geometry
from routing.geometry import LocalPoint
from routing.golf import datasets, reference_putts
from tests.routing.courses import load
from tests.routing.playing import codes, said

NODES, SPACING_M, NO_DATA = 300, 0.2, -9999.0
ORIGIN_M = (486435.36, 2214826.62)  # EPSG:3675
CUP_M, BALL_M, HOLE_IN_DATA_M = (30.0, 30.0), (24.0, 31.0), (20.0, 30.0)


def survey() -> tuple[np.ndarray, np.ndarray]:
    """Heights and validity by (x, y): a green with a wavy edge, a sprinkler inside, and 1 mm of noise."""
    x, y = np.indices((NODES, NODES)) * SPACING_M
    angle, radius_m = np.arctan2(y - 30, x - 30), np.hypot(x - 30, y - 30)
    valid = (radius_m < 20 + 3 * np.cos(3 * angle)) & (np.hypot(x - 20, y - 30) > 0.5)
    heights = 0.02 * (x - 30) + 0.2 * np.sin(x / 9) * np.cos(y / 7)
    return heights + np.random.default_rng(4).normal(0, 0.001, x.shape), valid


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory):
    """The course `hills`, hole 18: x along the columns of the file, CRLF, turned clockwise."""
    found = tmp_path_factory.mktemp("hills")
    heights, valid = survey()
    cells = np.where(valid, heights, NO_DATA).T
    text = "\r\n".join("\t".join(f"{value:.3f}" for value in row) for row in cells)
    (found / "green.txt").write_bytes(text.encode())
    keys = {"dtm_id": "hills_18", "course_id": "hills", "hole_id": 18, "green_id": "g18"}
    paths = {"manifest_path": "green.json", "grid_path": "green.txt"}
    registry = {"contract_version": "0.1.0", "datasets": [{**keys, **paths}]}
    (found / "datasets.json").write_text(json.dumps(registry))
    (found / "green.json").write_text(json.dumps({**keys, **manifest()}))
    return load(found)


def manifest() -> dict:
    axes = dict.fromkeys(("origin_description", "x_axis_description", "y_axis_description"), "as surveyed")
    last_m = round((NODES - 1) * SPACING_M, 6)
    return {
        "contract_version": "0.1.0",
        "dataset_version": "1",
        "grid": {
            "file": "green.txt", "spacing_m": SPACING_M, "rows": NODES, "cols": NODES, "no_data_value": NO_DATA,
            "format": "ascii_tab", "value_semantics": "relative_elevation_m", "axis_mapping": "x_col_y_row",
        },
        "extents_m": {"x_max_m": last_m, "y_max_m": last_m},
        "transform": {
            "epsg_projected": 3675, "sp_origin_x_m": ORIGIN_M[0], "sp_origin_y_m": ORIGIN_M[1],
            "local_origin_wgs84": {"lat": 40.268251, "lon": -111.659486},
            "local_offset_x_m": 1.5, "local_offset_y_m": -2.5, "rotation_offset_deg": 17.0,
            "axis_convention": {**axes, "rotation_positive_direction": "CW"},
        },
        "defaults": {"stimp": {"ft": 9, "in": 6}},
    }  # fmt: skip


@pytest.fixture
def hills(registry, monkeypatch):
    """The registry of this process."""
    monkeypatch.setattr(datasets, "_registry", registry)
    return registry


def test_a_surveyed_green_is_read_as_it_lies(hills):
    """ADV-41, ADV-43, ADV-45: nodes where they were measured; an origin 9 cm off its own is a warning."""
    dataset, (heights, valid) = hills.hole("hills", 18), survey()
    assert np.array_equal(dataset.green.valid, valid)
    assert np.abs(np.where(valid, dataset.heights - heights, 0)).max() <= 0.0005 + 1e-9
    assert [text.split(":")[0] for text in dataset.warnings] == ["DATASET_TIE_POINTS"]

    sprinkler = geometry.to_local(geometry.Wgs84(40.268285241, -111.659205198), dataset.manifest.frame)
    angle = math.radians(-17)  # its vector in axes of the grid is (23.840, 3.837)
    x_m = 23.840 * math.cos(angle) - 3.837 * math.sin(angle) + 1.5
    y_m = 23.840 * math.sin(angle) + 3.837 * math.cos(angle) - 2.5
    assert (sprinkler.x_m, sprinkler.y_m) == pytest.approx((x_m, y_m), abs=0.002)


@pytest.mark.parametrize(
    ("point_m", "expected"),
    [
        (CUP_M, ("ON_GREEN", 0.97)),
        (HOLE_IN_DATA_M, ("OFF_GREEN", 0.85)),
        ((2.0, 2.0), ("OFF_GREEN", 0.85)),
        ((60.3, 30.0), ("UNKNOWN", 0.50)),
        ((61.0, 30.0), ("OFF_GREEN", 0.95)),
    ],
)
def test_a_ball_on_a_surveyed_green_is_classified(hills, api, point_m, expected):
    """ADV-49, ADV-50: by its mask."""
    answer = api.post("/api/session/start", {"course_id": "hills", "hole_id": 18, "ball_wgs84": placed(hills, point_m)})
    assert said(answer) == expected
    assert codes(answer)[0] == "DATASET_TIE_POINTS"


def test_a_putt_on_a_surveyed_green_is_solved(hills):
    """ADV-83, ADV-85: from the manifest's stimp, over 1 mm of noise, past no-data."""
    ends = {name: {"x_m": x_m, "y_m": y_m} for name, (x_m, y_m) in (("ball", BALL_M), ("cup", CUP_M))}
    asked = {"contract_version": "0.5.0", "request_id": "r1", "dtm_id": "hills_18", "frame": "green_local_m", **ends}
    answer = reference_putts.solve_putt(asked)
    assert answer["raw"]["dll_return_code"] == 0, answer
    assert answer["plot"]["points"][0] == ends["ball"]
    assert answer["plot"]["points"][-1] == ends["cup"]

    onto_nothing = {**asked, "cup": {"x_m": HOLE_IN_DATA_M[0], "y_m": HOLE_IN_DATA_M[1]}}
    assert reference_putts.solve_putt(onto_nothing)["raw"]["dll_return_code"] == 3


def placed(hills, point_m) -> dict[str, float]:
    position = geometry.to_wgs84(LocalPoint(*point_m), hills.hole("hills", 18).manifest.frame)
    return {"lat": position.lat, "lon": position.lon}
