"""The elevation grid of a green as its file holds it (ADV-41). Pure.

Values are nodes, not cells: node (i, j) lies at x = i * spacing, y = j * spacing in `green_local_m`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_NO_DATA_TOLERANCE = 1e-6


class Fault(Exception):
    """Why a file of a dataset cannot be used; the sentence is for the operator."""


@dataclass(frozen=True, slots=True)
class GridSpec:
    """How the elevation file is to be read."""

    spacing_m: float
    rows: int
    cols: int
    no_data_value: float
    x_is_row: bool

    @property
    def nx(self) -> int:
        """Nodes along local x."""
        return self.rows if self.x_is_row else self.cols

    @property
    def ny(self) -> int:
        """Nodes along local y."""
        return self.cols if self.x_is_row else self.rows


def read_grid(data: bytes, spec: GridSpec) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Heights and validity of an `ascii_tab` grid.

    Returns (heights, valid): (nx, ny) float64 metres and bool, first axis local x whatever the file's; a node that
    is not valid holds the no-data value. Raises Fault.
    """
    if data.translate(None, b"0123456789+-.eE\t\r\n"):
        raise Fault("the grid holds something other than tab-separated decimals")
    lines = data.decode("ascii").split("\n")
    if lines[-1] == "":
        lines.pop()
    if len(lines) != spec.rows:
        raise Fault(f"the grid has {len(lines)} rows, the manifest says {spec.rows}")
    try:
        rows = [[float(value) for value in line.removesuffix("\r").split("\t")] for line in lines]
    except ValueError:
        raise Fault("the grid holds a value that is no number") from None
    if any(len(row) != spec.cols for row in rows):
        raise Fault(f"not every row of the grid has {spec.cols} values")
    heights = np.array(rows)
    if not np.isfinite(heights).all():
        raise Fault("the grid holds a value that is not finite")
    valid = np.abs(heights - spec.no_data_value) >= _NO_DATA_TOLERANCE
    return (heights, valid) if spec.x_is_row else (heights.T.copy(), valid.T.copy())
