"""`POST /solve_putt` of the reference solver: request checked, line found, answer worded (ADV-82 to ADV-87)."""

import math
from functools import lru_cache
from typing import Any

from django.conf import settings

from routing.errors import DtmUnknown, GridUnreadable, OutOfBounds
from routing.geometry import LocalPoint, distance_m
from routing.golf import datasets, golf_answers
from routing.golf.datasets import Dataset
from routing.golf.manifest import Stimp
from routing.golf.shapes import KEY, POINT, REQUEST_ID, STIMP, boolean, closed, one_of, require
from routing.golf.solvers import putting, relief, rolling
from routing.golf.solvers.putting import Code, Line, Putt
from routing.golf.solvers.relief import Relief

VERSION = "0.5.0"
_STRAIGHT_CM = 0.5
_LEVEL_PERCENT = 0.05


def solve_putt(body: Any) -> dict[str, Any]:
    """The answer to one request. Raises FieldErrors, DtmUnknown, GridUnreadable, OutOfBounds."""
    require(_REQUEST, body)
    dataset = datasets.registry().dtm(body["dtm_id"])
    if dataset is None:
        raise DtmUnknown
    putt = _putt(body, dataset)
    surface = _surface(dataset.manifest.dtm_id)
    found = putting.solve(surface, putt)
    echo = {"contract_version": VERSION, "request_id": body["request_id"], "dtm_id": body["dtm_id"]}
    if isinstance(found, Code):
        return {**echo, **_unsolved(found)}
    plot = {"frame": "green_local_m", "points": [golf_answers.point(point) for point in found.points]}
    return {**echo, **_solved(found, putt, surface), **({"plot": plot} if body.get("want_plot", True) else {})}


def _putt(body: dict[str, Any], dataset: Dataset) -> Putt:
    """Raises OutOfBounds."""
    ball, cup = (LocalPoint(float(body[name]["x_m"]), float(body[name]["y_m"])) for name in ("ball", "cup"))
    if dataset.green.outside_extents_m(ball) or dataset.green.outside_extents_m(cup):
        raise OutOfBounds
    stimp = Stimp(body["stimp"]["ft"], body["stimp"]["in"]) if "stimp" in body else dataset.manifest.stimp
    return Putt(ball, cup, stimp.metres, settings.PUTT_PAST_CUP_M)


@lru_cache(maxsize=64)
def _surface(dtm_id: str) -> Relief:
    """The smooth surface of a green, made once. Raises GridUnreadable."""
    dataset = datasets.registry().dtm(dtm_id)
    if dataset is None or dataset.heights is None or dataset.green.valid is None:
        raise GridUnreadable
    return relief.of(dataset.heights, dataset.green.valid, dataset.green.spacing_m)


def _solved(line: Line, putt: Putt, surface: Relief) -> dict[str, Any]:
    away_m = distance_m(putt.ball, putt.cup)
    friction = rolling.friction_mps2(putt.stimp_m)
    final_mps = rolling.flat_speed_mps(putt.past_cup_m, friction)
    plays_like_m = (line.speed_mps**2 - final_mps**2) / (2 * friction)
    offset_m = away_m * math.tan(line.aim_rad)
    rise_m = surface.height_m(putt.cup.x_m, putt.cup.y_m) - surface.height_m(putt.ball.x_m, putt.ball.y_m)
    solution = {
        "aim_deg": _rounded(math.degrees(line.aim_rad), 3),
        "aim_offset_m": _rounded(offset_m, 3),
        "speed_mps": _rounded(line.speed_mps, 4),
        "time_s": _rounded(line.time_s, 3),
        "distance_m": _rounded(away_m, 3),
        "plays_like_m": _rounded(plays_like_m, 3),
        "capture_speed_mps": putting.CAPTURE_SPEED_MPS,
    }
    text = f"{away_m:.1f} m, plays {plays_like_m:.1f} m, {_slope(100 * rise_m / away_m)}. {_aim(100 * offset_m)}"
    raw = {"dll_return_code": int(Code.SOLVED), "dll_error_text": "", "solution": solution}
    return {"instruction_text": text, "warnings": [], "raw": raw}


def _unsolved(code: Code) -> dict[str, Any]:
    reason = putting.REASONS[code]
    raw = {"dll_return_code": int(code), "dll_error_text": reason}
    text = f"No line: {reason}."
    return {"instruction_text": text, "warnings": [f"NO_LINE: {reason}"], "raw": raw, "error": reason}


def _slope(percent: float) -> str:
    if abs(percent) < _LEVEL_PERCENT:
        return "level"
    return f"{'uphill' if percent > 0 else 'downhill'} {abs(percent):.1f} %".replace(".0 %", " %")


def _aim(offset_cm: float) -> str:
    if abs(offset_cm) < _STRAIGHT_CM:
        return "Aim at the cup centre."
    return f"Aim {abs(offset_cm):.0f} cm {'left' if offset_cm > 0 else 'right'} of the cup centre."


def _rounded(value: float, digits: int) -> float:
    return round(value, digits) + 0.0  # never -0.0


_REQUEST = closed(
    {
        "contract_version": one_of(VERSION),
        "request_id": REQUEST_ID,
        "dtm_id": KEY,
        "frame": one_of("green_local_m"),
        "ball": POINT,
        "cup": POINT,
    },
    {"stimp": STIMP, "want_plot": boolean},
)
