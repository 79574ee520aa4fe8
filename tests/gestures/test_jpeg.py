"""The size in a JPEG's header (GES-35)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gestures.extraction import jpeg
from tests.captures import make_jpeg, padded_jpeg


@pytest.mark.parametrize("size", [(64, 64), (640, 480), (480, 640), (65, 127)])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"quality": 5}, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}]
)
def test_the_size_is_read_from_the_header(size, options):
    """Baseline, progressive, with metadata before the frame header."""
    assert jpeg.size(make_jpeg(1, size, **options)) == size


def test_comments_and_fill_bytes_are_passed_over():
    """ITU-T T.81: a marker may be preceded by any number of 0xFF."""
    plain = make_jpeg()
    assert jpeg.size(plain[:2] + b"\xff\xff" + plain[2:]) == (64, 64)
    assert jpeg.size(padded_jpeg(200_000)) == (64, 64)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xd8", b"GIF89a" + bytes(100), make_jpeg()[:-2], make_jpeg()[:300], make_jpeg()[2:],
     b"\xff\xd8" + bytes(99), b"\xff\xd8\xff\xda" + bytes(20) + b"\xff\xd9"],
)  # fmt: skip
def test_what_is_not_a_whole_jpeg_is_refused(data):
    """Cut short, or something else."""
    with pytest.raises(ValueError):  # noqa: PT011  # any sentence will do
        jpeg.size(data)


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(noise):
    """It reads frames from anybody."""
    for data in (noise, b"\xff\xd8" + noise, make_jpeg()[:100] + noise):
        try:
            width, height = jpeg.size(data)
        except ValueError:
            continue
        assert 0 <= width <= 65535
        assert 0 <= height <= 65535
