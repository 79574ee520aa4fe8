"""How many strokes a ball still needs from where it lies (ADV-93). Pure.

After Broadie's published averages of the PGA Tour; the anchors at distance 0 and the green's at 90 ft are this
project's own. Linear between anchors, with the outer slopes beyond them.
"""

import numpy as np
import numpy.typing as npt

from routing.golf.hole_map import Lie

Floats = npt.NDArray[np.float64]

_YARD_M, _FOOT_M = 0.9144, 0.3048
_FARTHEST_M, _STEPS_PER_M = 1500, 100

_ANCHORS: dict[Lie, dict[int, float]] = {  # yards: strokes
    Lie.TEE: {100: 2.92, 200: 3.12, 300: 3.71, 400: 3.99, 500: 4.41},
    Lie.FAIRWAY: {0: 2.00, 20: 2.40, 60: 2.70, 100: 2.80, 140: 2.91, 180: 3.08, 220: 3.32, 240: 3.43},
    Lie.ROUGH: {0: 2.10, 20: 2.59, 60: 2.91, 100: 3.02, 140: 3.15, 180: 3.31, 220: 3.53},
    Lie.BUNKER: {0: 2.30, 20: 2.53, 60: 3.15, 100: 3.23, 140: 3.22, 180: 3.40, 220: 3.70},
}
_GREEN = {0: 1.00, 8: 1.50, 15: 1.78, 30: 2.00, 90: 2.40}  # feet: strokes


def expected(lie: Lie, distance_m: float) -> float:
    """Strokes to hole out from this lie at this distance to the pin; not for water and out of bounds."""
    return float(np.interp(distance_m, *_CURVES[lie]))


def costs(codes: npt.NDArray[np.uint8], distances_m: npt.NDArray[np.float32], start: float) -> npt.NDArray[np.float32]:
    """Strokes of shots that come to rest like this, the shot included; distances count to the centimetre.

    codes: (n,) places of the lies in `Lie`; distances_m: (n,) from rest to the pin; start: expected before the shot.
    Water costs a stroke and goes on from the rough, out of bounds costs stroke and distance.
    """
    at = np.minimum(distances_m * _STEPS_PER_M, _FARTHEST_M * _STEPS_PER_M - 1).astype(np.int32)
    result = _COSTS.ravel().take(codes * np.int32(_COSTS.shape[1]) + at)
    result[codes == list(Lie).index(Lie.OB)] = 2 + start
    return result


def _curve(anchors: dict[int, float], unit_m: float) -> tuple[Floats, Floats]:
    """Distances in metres and strokes, with the outer slopes drawn out to 0 and to the horizon."""
    at_m, strokes = np.array(list(anchors)) * unit_m, np.array(list(anchors.values()))
    first, last = ((strokes[k + 1] - strokes[k]) / (at_m[k + 1] - at_m[k]) for k in (0, -2))
    low = strokes[0] - first * at_m[0]
    high = strokes[-1] + last * (_FARTHEST_M - at_m[-1])
    return np.concatenate(([0.0], at_m, [_FARTHEST_M])), np.concatenate(([low], strokes, [high]))


def _table() -> npt.NDArray[np.float32]:
    """Cost of a shot by the lie it ends in, (lies, centimetres); the row of out of bounds is filled per call."""
    middles_m = (np.arange(_FARTHEST_M * _STEPS_PER_M) + 0.5) / _STEPS_PER_M
    extra = {Lie.WATER: 2.0}
    played_as = {Lie.WATER: Lie.ROUGH, Lie.OB: Lie.ROUGH}
    rows = [extra.get(lie, 1.0) + np.interp(middles_m, *_CURVES[played_as.get(lie, lie)]) for lie in Lie]
    return np.array(rows, dtype=np.float32)


_CURVES = {lie: _curve(anchors, _YARD_M) for lie, anchors in _ANCHORS.items()} | {Lie.GREEN: _curve(_GREEN, _FOOT_M)}
_COSTS = _table()
