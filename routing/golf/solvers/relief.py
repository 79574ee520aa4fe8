"""The surface between the nodes of a green's grid, with continuous slope (ADV-85). Pure.

Bicubic Hermite patches: each follows height, both slopes and the twist of its four corners, so neighbouring patches
agree in height and slope. Slopes at nodes are differences of fourth order where four valid neighbours allow it, of
lower order next to no-data; planes and paraboloids come out exact either way.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_EDGE_TOLERANCE_M = 1e-6

# Weights of f[i-2..i+2] for the slope at i in units of the spacing, best first: the first whose nodes are valid is
# taken.
_STENCILS = (
    (1 / 12, -8 / 12, 0.0, 8 / 12, -1 / 12),
    (0.0, -0.5, 0.0, 0.5, 0.0),
    (0.0, 0.0, -1.5, 2.0, -0.5),
    (0.5, -2.0, 1.5, 0.0, 0.0),
    (0.0, 0.0, -1.0, 1.0, 0.0),
    (0.0, -1.0, 1.0, 0.0, 0.0),
)
# Corner values and slopes of a unit interval to the coefficients of 1, t, t^2, t^3.
_HERMITE = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [-3, 3, -2, -1], [2, -2, 1, 1]], dtype=float)


@dataclass(frozen=True)
class Relief:
    """A green as a smooth surface.

    fields: (4, nx, ny) height, slope along x and along y per spacing, twist, at the nodes; metres.
    gradients: (nx - 1, ny - 1, 2, 16) coefficients of s^p t^q for dh/dx and dh/dy, (s, t) in [0, 1] inside the cell.
    valid: (nx, ny) bool; a point counts as on the green's data when its nearest node is valid.
    noise_m: how far single nodes stick out of their neighbours' run, standard deviation in metres.
    """

    fields: Floats
    gradients: Floats
    valid: Bools
    spacing_m: float
    noise_m: float

    def is_valid(self, xy_m: Floats) -> Bools:
        """Whether each of n points (2, n) lies within the extents and nearest to a valid node."""
        last = np.array(self.valid.shape)[:, None] - 1
        inside = ((xy_m >= -_EDGE_TOLERANCE_M) & (xy_m <= last * self.spacing_m + _EDGE_TOLERANCE_M)).all(axis=0)
        i, j = np.minimum(np.where(inside, xy_m / self.spacing_m + 0.5, 0).astype(np.intp), last)
        return cast(Bools, inside & self.valid[i, j])

    def slopes(self, xy_m: Floats) -> Floats:
        """dh/dx and dh/dy at each of n points (2, n), (2, n); beyond the grid those of its edge."""
        cell, within = self._locate(xy_m)
        powers = np.empty((2, 4, within.shape[1]))
        powers[:, 0] = 1.0
        powers[:, 1] = within
        np.multiply(within, within, out=powers[:, 2])
        np.multiply(powers[:, 2], within, out=powers[:, 3])
        monomials = (powers[0, :, None] * powers[1, None]).reshape(16, within.shape[1])
        return cast(Floats, np.einsum("nkm,mn->kn", self.gradients[cell[0], cell[1]], monomials))

    def height_m(self, x_m: float, y_m: float) -> float:
        """Height at one point."""
        ((i,), (j,)), ((s,), (t,)) = self._locate(np.array([[x_m], [y_m]]))
        patch = _coefficients(self.fields[:, i : i + 2, j : j + 2])[0, 0]
        return float(s ** np.arange(4) @ patch @ t ** np.arange(4))

    def _locate(self, xy_m: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
        """The cell each point lies in and its place inside, from 0 to 1, along both axes; (2, n) each."""
        last = np.array(((self.valid.shape[0] - 2,), (self.valid.shape[1] - 2,)))
        at = np.minimum(np.maximum(xy_m / self.spacing_m, 0.0), last + 1)
        cell = np.minimum(at.astype(np.intp), last)
        return cell, at - cell


def of(heights_m: Floats, valid: Bools, spacing_m: float) -> Relief:
    """Build the surface of a grid; heights_m and valid are (nx, ny), first axis x."""
    slope_x, slope_y = _slopes(heights_m, valid, axis=0), _slopes(heights_m, valid, axis=1)
    twist = (_slopes(slope_x, valid, axis=1) + _slopes(slope_y, valid, axis=0)) / 2
    fields = _with_rim(np.stack((heights_m, slope_x, slope_y, twist)), valid)
    coefficients = _coefficients(fields)
    gradients = np.zeros((*coefficients.shape[:2], 2, 4, 4))
    for power in (1, 2, 3):
        gradients[:, :, 0, power - 1, :] = power * coefficients[:, :, power, :] / spacing_m
        gradients[:, :, 1, :, power - 1] = power * coefficients[:, :, :, power] / spacing_m
    gradients = gradients.reshape(*coefficients.shape[:2], 2, 16)
    return Relief(fields, gradients, valid, spacing_m, _noise_m(heights_m, valid))


def _noise_m(heights_m: Floats, valid: Bools) -> float:
    """Noise of the survey by third differences along both axes, to which smooth ground adds next to nothing."""
    third = [np.diff(heights_m, 3, axis)[_all_four(valid, axis)] for axis in (0, 1)]
    squares = np.concatenate(third) ** 2
    return float(np.sqrt(squares.mean() / 20)) if squares.size else 0.0  # 20 = 1 + 9 + 9 + 1


def _all_four(valid: Bools, axis: int) -> Bools:
    """Where a node and the three behind it are valid."""
    length = valid.shape[axis] - 3
    return cast(Bools, np.logical_and.reduce([np.take(valid, range(k, k + length), axis) for k in range(4)]))


def _coefficients(fields: Floats) -> Floats:
    """Patches of a (4, nx, ny) block of node fields: (nx - 1, ny - 1, 4, 4) coefficients of s^p t^q."""
    kind = np.array([[0, 2], [1, 3]])  # height and slope along y; slope along x and twist
    nx, ny = fields.shape[1] - 1, fields.shape[2] - 1
    corners = np.empty((nx, ny, 4, 4))
    for p in range(4):
        for q in range(4):
            at = p % 2, q % 2
            corners[:, :, p, q] = fields[kind[p // 2, q // 2], at[0] : at[0] + nx, at[1] : at[1] + ny]
    return cast(Floats, np.einsum("ap,xypq,bq->xyab", _HERMITE, corners, _HERMITE))


def _slopes(values: Floats, valid: Bools, *, axis: int) -> Floats:
    """Differences along one axis per unit of spacing, from valid nodes only; 0 where a node has no valid neighbour."""
    padding = [(2, 2) if at == axis else (0, 0) for at in range(2)]
    padded, known = np.pad(values, padding), np.pad(valid, padding)
    length = values.shape[axis]
    shifted = [np.take(padded, range(k, k + length), axis) for k in range(5)]
    usable = [np.take(known, range(k, k + length), axis) for k in range(5)]
    result, done = np.zeros_like(values), ~valid
    for stencil in _STENCILS:
        nodes = [k for k in range(5) if stencil[k]]
        taken = ~done & np.logical_and.reduce([usable[k] for k in nodes])
        result[taken] = sum(stencil[k] * shifted[k][taken] for k in nodes)
        done |= taken
    return result


def _with_rim(fields: Floats, valid: Bools) -> Floats:
    """Continue height and slopes linearly onto no-data nodes beside valid ones, zero elsewhere.

    A point may lie up to half a cell beyond the last valid node, so the patches there need all four corners.
    """
    nx, ny = valid.shape
    padded, known = np.pad(fields, ((0, 0), (1, 1), (1, 1))), np.pad(valid, 1)
    total, count = np.zeros_like(fields), np.zeros(valid.shape)
    for di in (-1, 0, 1):
        for dj in (-1, 0, 1):
            near = padded[:, 1 + di : 1 + di + nx, 1 + dj : 1 + dj + ny].copy()
            has = known[1 + di : 1 + di + nx, 1 + dj : 1 + dj + ny]
            near[0] -= di * near[1] + dj * near[2]
            near[3] = 0.0
            total += np.where(has, near, 0.0)
            count += has
    return np.where(valid, fields, total / np.maximum(count, 1))
