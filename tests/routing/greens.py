"""The greens of ADV-48 as values, for tests of pure code: no file is read."""

import math
from typing import Any

import numpy as np

from routing.geometry import LocalPoint
from routing.surface import Green

EXTENTS: dict[str, Any] = {"x_max_m": 20.0, "y_max_m": 16.0, "spacing_m": 0.2}
ELLIPSE = tuple(
    LocalPoint(round(10 + 9 * math.cos(2 * math.pi * k / 64), 3), round(8 + 7 * math.sin(2 * math.pi * k / 64), 3))
    for k in range(64)
)


def flat() -> Green:
    """Hole 1: every node valid, no outline."""
    return Green(**EXTENTS, valid=np.ones((101, 81), dtype=bool))


def plane() -> Green:
    """Hole 2: a mask from x 1..19, y 1..15."""
    valid = np.zeros((101, 81), dtype=bool)
    valid[5:96, 5:76] = True
    return Green(**EXTENTS, valid=valid)


def bowl() -> Green:
    """Hole 3: an outline."""
    return Green(**EXTENTS, valid=np.ones((101, 81), dtype=bool), outline=ELLIPSE)


def unreadable() -> Green:
    """A green whose grid could not be read and that has no outline."""
    return Green(**EXTENTS)
