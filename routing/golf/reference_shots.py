"""`POST /plan_shot` of the reference planner: request checked, shot chosen, answer worded (ADV-88 to ADV-94)."""

import math
from functools import lru_cache
from typing import Any

from routing import geometry
from routing.errors import HoleUnknown, OutOfRange
from routing.geometry import LocalPoint, Wgs84
from routing.golf import datasets, golf_answers
from routing.golf.datasets import Dataset
from routing.golf.hole_map import Lie
from routing.golf.shapes import KEY, REQUEST_ID, WGS84, also, closed, integer, number, one_of, open_object, require
from routing.golf.solvers import lies, planning
from routing.golf.solvers.bag import USUAL_HANDICAP, WORST_HANDICAP, Player
from routing.golf.solvers.lies import Lies
from routing.golf.solvers.planning import Choice, Shot

VERSION = "0.5.0"
_MPH_MPS = 0.44704
_MODEL = (
    "Monte Carlo over clubs and aims; strokes after Broadie's PGA Tour averages; carries, roll, scatter and wind are "
    "choices of this project"
)
_PIN_ASSUMED = "PIN_ASSUMED: no pin was sent, the {} stands in"
_NO_MAP = "NO_MAP: nothing is known of this hole but a green around the pin"


def plan_shot(body: Any) -> dict[str, Any]:
    """The answer to one request. Raises FieldErrors, HoleUnknown, OutOfRange, TransformFailed."""
    require(_REQUEST, body)
    dataset = datasets.registry().datasets.get((body["course_id"], body["hole_id"]))
    if dataset is None:
        raise HoleUnknown
    frame = dataset.manifest.frame
    ball = geometry.to_local(_position(body["ball_wgs84"]), frame)
    pin, notes = _pin(body, dataset)
    if not planning.is_in_range(ball, pin):
        raise OutOfRange
    shot = Shot(ball, pin, _player(body.get("player", {})), _wind_mps(body.get("conditions", {}), ball, dataset))
    area = _lies(dataset.manifest.dtm_id) if dataset.hole is not None else lies.without_map(pin)
    if dataset.hole is None:
        notes.append(_NO_MAP)
    choice = planning.plan(area, shot)
    echo = {"contract_version": VERSION, "request_id": body["request_id"]}
    return {**echo, **_chosen(choice, shot, dataset), "debug": _debug(choice, notes)}


def _pin(body: dict[str, Any], dataset: Dataset) -> tuple[LocalPoint, list[str]]:
    """Where to play to, and what was assumed for it."""
    manifest = dataset.manifest
    if "pin_wgs84" in body:
        return geometry.to_local(_position(body["pin_wgs84"]), manifest.frame), []
    if manifest.hole_location is not None:
        return manifest.hole_location, [_PIN_ASSUMED.format("hole location of the manifest")]
    return LocalPoint(manifest.x_max_m / 2, manifest.y_max_m / 2), [
        _PIN_ASSUMED.format("centre of the green's extents")
    ]


def _player(members: dict[str, Any]) -> Player:
    bag = members.get("bag")
    own_bag = tuple((name, float(carry_m)) for name, carry_m in bag.items()) if bag else None
    return Player(float(members.get("handicap", USUAL_HANDICAP)), own_bag)


def _wind_mps(members: dict[str, Any], ball: LocalPoint, dataset: Dataset) -> tuple[float, float]:
    """Where the air moves to, along local axes; `wind_dir_deg` is where it comes from, from true north clockwise."""
    speed_mps = members.get("wind_mph", 0.0) * _MPH_MPS
    from_rad = math.radians(members.get("wind_dir_deg", 0.0))
    north_x, north_y = geometry.north_in_local(ball, dataset.manifest.frame)
    # Clockwise from north: the east of a frame is its north turned right.
    to_north, to_east = -speed_mps * math.cos(from_rad), -speed_mps * math.sin(from_rad)
    return to_north * north_x + to_east * north_y, to_north * north_y - to_east * north_x


@lru_cache(maxsize=64)
def _lies(dtm_id: str) -> Lies:
    """The areas of a hole, made ready once."""
    dataset = datasets.registry().dtm(dtm_id)
    if dataset is None or dataset.hole is None:
        raise HoleUnknown
    return lies.of_map(dataset.hole)


def _chosen(choice: Choice, shot: Shot, dataset: Dataset) -> dict[str, Any]:
    frame = dataset.manifest.frame
    pin_rad = math.atan2(shot.pin.y_m - shot.ball.y_m, shot.pin.x_m - shot.ball.x_m)
    aim_rad = pin_rad + math.radians(choice.aim_deg)
    ahead = LocalPoint(shot.ball.x_m + 100 * math.cos(aim_rad), shot.ball.y_m + 100 * math.sin(aim_rad))
    bearing_deg = geometry.bearing_deg(geometry.to_wgs84(shot.ball, frame), geometry.to_wgs84(ahead, frame))
    target = geometry.to_wgs84(choice.landing, frame)
    return {
        "summary": f"{choice.club}: {_aim(choice.aim_deg)}, carry {choice.carry_m:.0f} m, total {choice.total_m:.0f} m",
        "recommended_club": choice.club,
        "carry_m": round(choice.carry_m, 1),
        "total_m": round(choice.total_m, 1),
        "bearing_deg": round(bearing_deg, 1) % 360.0,
        "target_wgs84": golf_answers.wgs84(Wgs84(round(target.lat, 9), round(target.lon, 9))),
        "confidence": round(choice.confidence, 3),
    }


def _aim(aim_deg: float) -> str:
    if not aim_deg:
        return "at the pin"
    return f"{abs(aim_deg):.0f} degrees {'left' if aim_deg > 0 else 'right'} of the pin"


def _debug(choice: Choice, notes: list[str]) -> dict[str, Any]:
    runner_up = choice.runner_up
    second = {"club": runner_up[0], "expected_strokes": round(runner_up[1], 3)} if runner_up else None
    penalty = choice.shares[Lie.WATER] + choice.shares[Lie.OB]
    return {
        "expected_strokes": round(choice.expected_strokes, 3),
        **({"runner_up": second} if second else {}),
        "green_pct": round(100 * choice.shares[Lie.GREEN], 1),
        "fairway_pct": round(100 * choice.shares[Lie.FAIRWAY], 1),
        "penalty_pct": round(100 * penalty, 1),
        "model": _MODEL,
        "notes": notes,
    }


def _position(members: dict[str, float]) -> Wgs84:
    return Wgs84(members["lat"], members["lon"])


def _is_bag(bag: Any) -> bool:
    """1 to 30 clubs, each with a carry of up to 400 m."""
    return 0 < len(bag) <= 30 and all(not list(_CARRY(carry_m, name)) for name, carry_m in bag.items())


_CARRY = number(high=400, above=0)
_REQUEST = closed(
    {
        "contract_version": one_of(VERSION),
        "request_id": REQUEST_ID,
        "course_id": KEY,
        "hole_id": integer(1),
        "ball_wgs84": WGS84,
    },
    {
        "pin_wgs84": WGS84,
        "player": open_object(
            {},
            {
                "handicap": number(0, WORST_HANDICAP),
                "bag": also(open_object(), _is_bag, "must name 1 to 30 clubs with carries of up to 400 m"),
            },
        ),
        "conditions": open_object({}, {"wind_mph": number(0, 150), "wind_dir_deg": number(0, 360)}),
    },
)
