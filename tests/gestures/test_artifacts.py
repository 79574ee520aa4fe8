"""The files of captures (GES-44, GES-45, GES-47, GES-50)."""

import io
import os
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings

from gestures import artifacts

RECORD = "ea62cb98-fb10-4f35-93a4-1ccb887ed220"
SESSION = "sess_0123456789abcdef"
URI = f"data/users/u1/sessions/{SESSION}/features/{RECORD}.npz"


def features(frames=3):
    return np.arange(frames * 214, dtype="<f4").reshape(frames, 214)


def published(array=None):
    temporary = artifacts.write_temporary("u1", SESSION, RECORD, features() if array is None else array)
    return artifacts.publish(temporary, RECORD), temporary


def test_numpy_opens_the_file_in_one_line():
    """GES-44: one array `features`, float32, C order, uncompressed."""
    path, temporary = published()
    with np.load(path) as file:
        assert file.files == ["features"]
        array = file["features"]
    assert (array.dtype.str, array.shape, array.flags.c_contiguous) == ("<f4", (3, 214), True)
    assert (array == features()).all()
    assert path.stat().st_size == temporary.size_bytes
    assert {entry.compress_type for entry in zipfile.ZipFile(path).infolist()} == {zipfile.ZIP_STORED}


def test_equal_arrays_give_equal_bytes():
    """GES-45: fixed member times, nothing of the host; the contract's size for 150 frames."""
    data = artifacts.encode(features(150))
    assert data == artifacts.encode(np.asfortranarray(features(150)))
    assert zipfile.ZipFile(io.BytesIO(data)).infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)
    assert len(data) == 128_670


def test_a_file_is_where_its_reference_says():
    """GES-44, GES-50: `data/` stands for DATA_ROOT."""
    path, _ = published()
    assert path == Path(settings.DATA_ROOT, "users/u1/sessions", SESSION, "features", f"{RECORD}.npz")
    assert artifacts.uri("u1", SESSION, RECORD) == URI
    assert artifacts.resolve(URI) == path
    assert artifacts.read(URI) == path.read_bytes()
    assert artifacts.sha256(artifacts.read(URI)) == artifacts.sha256(path.read_bytes())


@pytest.mark.parametrize(
    "uri",
    ["", URI + "\n", "/" + URI, URI.replace("u1", ".."), URI.replace("u1", "a/b"), URI.replace(RECORD, "x"),
     URI.replace(SESSION, "sess_0"), URI.replace("data/", "../data/"), URI.replace(".npz", ".txt"),
     f"data/users/u1/sessions/{SESSION}/features/../features/{RECORD}.npz"],
)  # fmt: skip
def test_no_other_reference_resolves(uri):
    """GES-50."""
    published()
    with pytest.raises(ValueError):  # noqa: PT011  # any sentence will do
        artifacts.resolve(uri)
    with pytest.raises(FileNotFoundError):
        artifacts.read(uri)


@pytest.mark.parametrize("stand_in", ["file link", "directory link", "directory", "pipe", "nothing"])
def test_only_a_plain_file_is_read(stand_in, tmp_path):
    """GES-50, GES-55: a link in place of the file, or of a directory above it, is no file."""
    path, _ = published()
    elsewhere = tmp_path / "elsewhere"
    if stand_in == "directory link":
        path.parent.rename(elsewhere)
        path.parent.symlink_to(elsewhere)
    else:
        path.rename(elsewhere)
        {"file link": lambda: path.symlink_to(elsewhere), "directory": path.mkdir, "pipe": lambda: os.mkfifo(path),
         "nothing": lambda: None}[stand_in]()  # fmt: skip
    with pytest.raises(FileNotFoundError):
        artifacts.read(URI)


def test_an_overgrown_file_is_not_read_whole():
    """GES-61: what is no file of ours does not fill the memory; its hash will differ."""
    path, _ = published()
    with path.open("ab") as file:
        file.truncate(100_000_000)
    assert len(artifacts.read(URI)) == artifacts.MOST_FILE_BYTES + 1


def test_abandoned_temporaries_are_cleared_by_the_next_completion():
    """GES-47: older than an hour, in the same directory."""
    directory = published()[0].parent
    old, young = directory / ".a.1.tmp", directory / ".b.2.tmp"
    for path in (old, young):
        path.touch()
    os.utime(old, (time.time() - 3700,) * 2)
    published()
    assert sorted(path.name for path in directory.iterdir()) == [young.name, f"{RECORD}.npz"]


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", artifacts.encode(features())[:-9], b"x" * 5000],
)
def test_what_is_no_npz_does_not_decode(data):
    """GES-58, not_npz."""
    with pytest.raises(ValueError):  # noqa: PT011  # any sentence will do
        artifacts.decode(data)


def test_other_members_and_pickles_do_not_decode():
    """GES-58: exactly one array, and pickling off."""
    for arrays in ({"features": features(), "more": features()}, {"other": features()},
                   {"features": np.array([{}], dtype=object)}):  # fmt: skip
        file = io.BytesIO()
        np.savez(file, **arrays)
        with pytest.raises(ValueError):  # noqa: PT011  # any sentence will do
            artifacts.decode(file.getvalue())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_rows_are_finite(value):
    """GES-41."""
    rows = features().copy()
    assert artifacts.features_of(rows.tobytes(), 214).shape == (3, 214)
    rows[1, 7] = value
    with pytest.raises(ValueError, match="finite"):
        artifacts.features_of(rows.tobytes(), 214)
