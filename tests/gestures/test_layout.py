"""The order of the columns (GES-40, GES-41)."""

import pytest

from gestures import layout


def points(count, base):
    return [(base + index, base + index + 0.5) for index in range(count)]


def test_every_landmark_stands_in_its_columns():
    """GES-40: landmark i is columns 2i and 2i+1, group by group."""
    row = layout.row(points(33, 1000), points(21, 2000), points(21, 3000), points(478, 4000))
    face = [468, 469, 470, 471, 472, 473, 474, 475, 33, 133, 159, 145, 263, 362, 386, 374, 70, 63, 105, 336, 296, 334,
            1, 6, 197, 61, 291, 13, 14, 78, 308, 199]  # fmt: skip
    expected = [1000 + i for i in range(33)] + [2000 + i for i in range(21)] + [3000 + i for i in range(21)]
    expected += [4000 + i for i in face]
    assert (len(row), layout.DIMS) == (214, 214)
    assert row[0::2] == expected
    assert row[1::2] == [x + 0.5 for x in expected]


@pytest.mark.parametrize(
    ("group", "first", "last"), [("pose", 0, 65), ("left_hand", 66, 107), ("right_hand", 108, 149), ("face", 150, 213)]
)
def test_an_undetected_group_is_zero_in_its_columns_only(group, first, last):
    """GES-40, GES-41."""
    found = {"pose": points(33, 1), "left_hand": points(21, 1), "right_hand": points(21, 1), "face": points(478, 1)}
    row = layout.row(**{**found, group: None})
    assert layout.columns(group) == slice(first, last + 1)
    assert [column for column, value in enumerate(row) if value == 0.0] == list(range(first, last + 1))


def test_nobody_gives_a_row_of_zeros():
    """GES-41."""
    assert layout.row(None, None, None, None) == [0.0] * 214


def test_another_number_of_landmarks_is_no_row():
    """GES-43: a model that answers otherwise needs a layout of its own."""
    with pytest.raises(ValueError, match="468 landmarks"):
        layout.row(None, None, None, points(468, 1))
