"""Registry, manifests and grids, whoever wrote them (ADV-38 to ADV-44, ADV-48)."""

import json
import os
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command

from routing.errors import DatasetInvalid, DatasetNotFound, RegistryUnavailable
from routing.golf import datasets, synthetic
from routing.surface import Source
from tests.routing.courses import PLANE, load, make_course, rewrite


def reason(root) -> str:
    """Why hole 2 is refused; the other three holes must go on working."""
    found = load(root)
    assert len(found.datasets) == 3
    with pytest.raises(DatasetInvalid):
        found.hole("baton_links", 2)
    assert found.error is None
    return found.invalid[0].reason


def test_load_reads_the_shipped_course():
    """ADV-40, ADV-48: four greens, none with anything to say about it."""
    found = load(datasets.SHIPPED_ROOT)

    assert [one.manifest.dtm_id for one in found.datasets.values()] == [
        shape.dtm_id for shape in synthetic.SHAPES.values()
    ]
    assert (found.invalid, found.error, found.warning) == ((), None, None)


def test_shipped_files_are_what_the_command_makes():
    """ADV-48: byte-identical on every run."""
    made = {path: (datasets.SHIPPED_ROOT / path).read_bytes() for path in synthetic.files()}

    assert made == synthetic.files()


@pytest.mark.parametrize(
    ("hole", "x_m", "y_m", "height_m", "is_valid"),
    [(1, 3, 4, 1, True), (2, 10, 8, 1.2, True), (2, 0.8, 8, -1, False), (3, 10, 8, 1, True), (3, 15, 4, 1.082, True)],
)
def test_grid_holds_the_heights_of_the_formula(hole, x_m, y_m, height_m, is_valid):
    """ADV-48: first axis x, nodes 0.2 m apart."""
    found: Any = load(datasets.SHIPPED_ROOT).hole("baton_links", hole)

    node = round(x_m / 0.2), round(y_m / 0.2)
    assert found.heights[node] == pytest.approx(height_m)
    assert found.green.valid[node] == is_valid


def test_two_tier_rises_with_the_tangent():
    """ADV-48."""
    found: Any = load(datasets.SHIPPED_ROOT).hole("baton_links", 4)

    assert found.heights[60, 0] == pytest.approx(1 + 0.15 * (1 + np.tanh(1)), abs=1e-6)


def test_grid_may_have_x_along_its_columns(tmp_path):
    """ADV-41: x_col_y_row is the reverse; the loaded green is the same."""
    root = make_course(tmp_path, plane=lambda m: transpose(m, tmp_path))

    turned, plain = load(root).hole("baton_links", 2), load(datasets.SHIPPED_ROOT).hole("baton_links", 2)
    assert np.array_equal(np.asarray(turned.heights), np.asarray(plain.heights))


def transpose(document, root):
    path = root / PLANE / document["grid"]["file"]
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    path.write_text("\r\n".join("\t".join(column) for column in zip(*rows, strict=True)))
    document["grid"].update(axis_mapping="x_col_y_row", rows=81, cols=101)
    del document["hashes"]["grid_sha256"]


def test_an_absent_hash_is_a_warning(tmp_path):
    """ADV-42."""
    found = load(make_course(tmp_path, plane=lambda m: m["hashes"].clear()))

    assert found.warning == (
        "syn_plane_20cm HASH_ABSENT: no grid_sha256; syn_plane_20cm HASH_ABSENT: no manifest_sha256"
    )


@pytest.mark.parametrize("which", ["grid_sha256", "manifest_sha256"])
def test_a_wrong_hash_refuses_the_dataset(tmp_path, which):
    """ADV-42."""
    root = make_course(tmp_path)
    rewrite(root / PLANE / "manifest.json", lambda m: m["hashes"].update({which: "0" * 64}))

    assert "sha256 does not match" in reason(root)


@pytest.mark.parametrize(("epsg", "word"), [(2234, "US survey foot"), (4326, "not a projected"), (1, "not known")])
def test_a_system_without_metres_refuses_the_dataset(tmp_path, epsg, word):
    """ADV-43: feet are the test case."""
    root = make_course(tmp_path, plane=lambda m: m["transform"].update(epsg_projected=epsg))

    assert word in reason(root)


@pytest.mark.parametrize(
    "move",
    [
        lambda m: m["transform"]["local_origin_wgs84"].update(lat=56.336058),
        lambda m: m["tie_points"][0]["wgs84"].update(lat=56.336131),
        lambda m: m["transform"].update(wgs84_shift_m={"east_m": 0.0, "north_m": 0.3}),
    ],
)
def test_a_surveyed_point_that_disagrees_is_a_warning(tmp_path, move):
    """ADV-43: 0.05 m for the origin, 0.25 m for tie points; the shift counts for both."""
    found = load(make_course(tmp_path, plane=move)).hole("baton_links", 2)

    assert [text.split(":")[0] for text in found.warnings] == ["DATASET_TIE_POINTS"]


def test_an_unconfirmed_rotation_is_a_warning(tmp_path):
    """ADV-45."""

    def turn(document):
        document["transform"]["axis_convention"]["rotation_positive_direction"] = "UNCONFIRMED"
        document["transform"]["rotation_offset_deg"] = 1
        document["tie_points"] = []

    found = load(make_course(tmp_path, plane=turn)).hole("baton_links", 2)

    assert [text.split(":")[0] for text in found.warnings] == ["TRANSFORM_UNCONFIRMED"]


@pytest.mark.parametrize("how", ["missing", "folder", "unreadable"])
def test_a_green_without_its_grid_stays_usable(tmp_path, how):
    """ADV-44: classified by the extents, GRID_UNREADABLE."""
    path = make_course(tmp_path) / PLANE / "syn_plane_20cm.txt"
    path.unlink()
    if how == "folder":
        path.mkdir()
    if how == "unreadable":
        os.mkfifo(path)

    found = load(tmp_path).hole("baton_links", 2)
    assert (found.green.source, found.heights) == (Source.EXTENTS, None)
    assert [text.split(":")[0] for text in found.warnings] == ["GRID_UNREADABLE"]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../secret.json", "baton_links/../../x", "a/b/\0", "..\\x", "out/manifest.json"]
)
@pytest.mark.parametrize("member", ["manifest_path", "grid_path", "hole_geometry_path"])
def test_a_path_that_leaves_the_root_refuses_the_dataset(tmp_path, path, member):
    """ADV-39: absolute, climbing, or through a link; the grid's path too. No reason names a path."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    make_course(outside)
    make_course(root, registry=lambda r: r["datasets"][1].update({member: path}))
    (root / "out").symlink_to(outside / PLANE)

    said = reason(root)
    assert "path" in said
    assert str(tmp_path) not in said


def test_a_loop_of_links_refuses_the_dataset(tmp_path):
    """ADV-39."""
    make_course(tmp_path, registry=lambda r: r["datasets"][1].update(manifest_path="loop"))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    assert reason(tmp_path)


@pytest.mark.parametrize("same", [{"dtm_id": "syn_flat_20cm"}, {"course_id": "baton_links", "hole_id": 1}])
def test_doubled_entries_are_all_refused(tmp_path, same):
    """ADV-38: every entry involved is invalid."""
    found = load(make_course(tmp_path, registry=lambda r: r["datasets"][1].update(same)))

    assert len(found.invalid) == 2
    assert {hole for _, hole in found.datasets} == {3, 4}


@pytest.mark.parametrize(
    "break_it",
    [
        lambda m: m.pop("transform"),
        lambda m: m.update(extra=1),
        lambda m: m.update(contract_version="0.2.0"),
        lambda m: m.update(green_id="green_9"),
        lambda m: m["grid"].update(rows=True),
        lambda m: m["grid"].update(rows=102),
        lambda m: m["grid"].update(rows=10**30),
        lambda m: m["grid"].update(spacing_m=0),
        lambda m: m["grid"].update(file="other.txt"),
        lambda m: m["grid"].update(format="geotiff"),
        lambda m: m["extents_m"].update(x_max_m=20.00001),
        lambda m: m["transform"].update(sp_origin_x_m="512100"),
        lambda m: m["transform"].update(rotation_offset_deg=None),
        lambda m: m["transform"]["axis_convention"].update(rotation_positive_direction="ccw"),
        lambda m: m["defaults"].update(stimp={"ft": 0, "in": 0}),
        lambda m: m["defaults"].update(stimp={"ft": 10.0, "in": 0}),
        lambda m: m.update(green_outline=[{"x_m": 0, "y_m": 0}, {"x_m": 1, "y_m": 0}]),
        lambda m: m.update(green_outline=[{"x_m": x, "y_m": y} for x, y in ((0, 0), (2, 2), (2, 0), (0, 2))]),
        lambda m: m.update(green_outline=[{"x_m": x, "y_m": y} for x, y in ((0, 0), (2, 0), (2, 2), (0, 0))]),
        lambda m: m["tie_points"].append({"name": "x"}),
        lambda m: m["hashes"].update(grid_sha256="abc"),
    ],
)
def test_a_faulty_manifest_refuses_the_dataset(tmp_path, break_it):
    """ADV-40: anything but a missing grid is DATASET_INVALID; other holes go on."""
    assert reason(make_course(tmp_path, plane=break_it))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"contract_version": NaN}',
        "[]",
        "{",
        "\ufeff{}",
        "[" * 100_000,
        '{"contract_version": "\\ud800"}',
    ],
)
def test_a_manifest_that_is_no_json_object_refuses_the_dataset(tmp_path, text):
    """ADV-40: duplicate names, NaN, arrays, garbage, deep nesting."""
    (make_course(tmp_path) / PLANE / "manifest.json").write_text(text)

    assert reason(tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: rows[:-1],
        lambda rows: [*rows, rows[0]],
        lambda rows: [rows[0] + "\t1", *rows[1:]],
        lambda rows: [rows[0].replace("\t", " "), *rows[1:]],
        lambda rows: [rows[0].replace("-1.000000", "nan", 1), *rows[1:]],
        lambda rows: [rows[0].replace("-1.000000", "1e999", 1), *rows[1:]],
        lambda rows: [rows[0].replace("-1.000000", "", 1), *rows[1:]],
        lambda rows: ["", *rows[1:]],
    ],
)
def test_a_faulty_grid_refuses_the_dataset(tmp_path, spoil):
    """ADV-41: rows x cols exactly, tab-separated, all finite."""
    make_course(tmp_path, plane=lambda m: m["hashes"].pop("grid_sha256"))
    path = tmp_path / PLANE / "syn_plane_20cm.txt"
    path.write_text("\n".join(spoil(path.read_text().splitlines())) + "\n")

    assert "grid" in reason(tmp_path)


def test_a_hole_file_with_a_crossing_area_refuses_the_dataset(tmp_path):
    """ADV-88."""
    make_course(tmp_path)
    rewrite(
        tmp_path / PLANE / "hole.json",
        lambda h: h["polygons"][1]["points"].reverse() or h["polygons"][1]["points"].insert(0, {"x_m": 0, "y_m": 9}),
    )

    assert "fairway" in reason(tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text("{"),
        lambda path: path.write_text("[]"),
        lambda path: rewrite(path, lambda r: r.update(contract_version="0.2.0")),
        lambda path: rewrite(path, lambda r: r.pop("datasets")),
    ],
)
def test_an_unreadable_registry_says_so_without_a_path(tmp_path, spoil):
    """ADV-40: golf is 503, the rest of the product works; a foreign contract_version counts as unreadable."""
    spoil(make_course(tmp_path) / "datasets.json")

    found = load(tmp_path)
    assert str(tmp_path) not in str(found.error)
    with pytest.raises(RegistryUnavailable):
        found.hole("baton_links", 2)


def test_an_entry_without_a_readable_key_is_named_by_its_place(tmp_path):
    """Clarification of ADV-37: one name per refused entry."""
    found = load(make_course(tmp_path, registry=lambda r: r["datasets"].append({"dtm_id": "../x"})))

    assert [one.dtm_id for one in found.invalid] == ["entry 5"]
    assert len(found.datasets) == 4


def test_an_unknown_hole_is_not_found():
    """ADV-15."""
    with pytest.raises(DatasetNotFound):
        load(datasets.SHIPPED_ROOT).hole("baton_links", 5)


def test_registry_is_read_once(monkeypatch, settings):
    """ADV-40: never again per request."""
    monkeypatch.setattr(datasets, "_registry", None)
    settings.COURSE_DATA_ROOT, settings.DATASET_REGISTRY_PATH = (
        datasets.SHIPPED_ROOT,
        datasets.SHIPPED_ROOT / "datasets.json",
    )
    first = datasets.registry()
    settings.DATASET_REGISTRY_PATH = "/nowhere"

    assert datasets.registry() is first


def test_check_datasets_prints_a_line_each_and_fails_on_a_fault(tmp_path, settings, capsys):
    """ADV-40."""
    settings.COURSE_DATA_ROOT = make_course(tmp_path, plane=lambda m: m.pop("grid"))
    settings.DATASET_REGISTRY_PATH = tmp_path / "datasets.json"
    with pytest.raises(SystemExit) as ended:
        call_command("check_datasets")

    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 1
    assert [line.split()[:2] for line in lines] == [
        ["ok", "syn_flat_20cm"],
        ["ok", "syn_bowl_20cm"],
        ["ok", "syn_two_tier_20cm"],
        ["invalid", "syn_plane_20cm"],
    ]


def test_make_synthetic_greens_writes_the_course(tmp_path, capsys):
    """ADV-48."""
    call_command("make_synthetic_greens", root=tmp_path, json=True)

    assert sorted(json.loads(capsys.readouterr().out)["files"]) == sorted(synthetic.files())
    assert load(tmp_path).invalid == ()
