"""What the golf endpoints answer (advice.md sections 2 and 3): members in their wire form, absent ones left out."""

from collections.abc import Iterable
from typing import Any

from routing import geometry
from routing.geometry import LocalPoint, Wgs84
from routing.golf.datasets import Dataset
from routing.golf.hole_state import HoleState, Placed
from routing.golf.manifest import Stimp
from routing.golf.plans import Plan
from routing.golf.situations import Situation
from routing.surface import Surface
from sessions_app import clock

DEFAULT_VERSION = "0.5.0"
SUPPORTED_VERSIONS = ("0.5.0", "0.6.0")


def point(value: LocalPoint) -> dict[str, float]:
    """A point on the wire: millimetres (ADV-5), never -0.0."""
    return {"x_m": round(value.x_m, 3) + 0.0, "y_m": round(value.y_m, 3) + 0.0}


def wgs84(value: Wgs84) -> dict[str, float]:
    """A position on the wire, as it came."""
    return {"lat": value.lat, "lon": value.lon}


def distinct(warnings: Iterable[str]) -> list[str]:
    """The warnings in order, each once."""
    return list(dict.fromkeys(warnings))


def hole_state(
    dataset: Dataset,
    *,
    version: str,
    surface: Surface,
    confidence: float,
    warnings: Iterable[str],
    session_id: str | None = None,
    ball: Placed | Wgs84 | None = None,
    cup: Placed | Wgs84 | None = None,
    stimp: Stimp | None = None,
    competition_mode: bool = False,
) -> dict[str, Any]:
    """The `hole_state` object. A ball or cup without a time is one that holds for this call only."""
    manifest = dataset.manifest
    return {
        "contract_version": version,
        **({"session_id": session_id} if session_id else {}),
        "course_id": manifest.course_id,
        "hole_id": manifest.hole_id,
        "green_id": manifest.green_id,
        "dtm_id": manifest.dtm_id,
        **_placed("ball", ball, dataset),
        **_placed("cup", cup, dataset),
        "surface_state": str(surface),
        "surface_confidence": confidence,
        **({"stimp": stimp.as_json()} if stimp else {}),
        **({"competition_mode": True} if competition_mode else {}),
        "warnings": distinct((*dataset.warnings, *warnings)),
        "green_frame": {
            "frame": "green_local_m",
            "extents_m": {"x_max_m": manifest.x_max_m, "y_max_m": manifest.y_max_m},
            "grid": {
                "rows": manifest.grid.rows,
                "cols": manifest.grid.cols,
                "spacing_m": manifest.grid.spacing_m,
            },
        },
    }


def of_session(state: HoleState, dataset: Dataset, *, version: str) -> dict[str, Any]:
    """The `hole_state` of a session as its last sample left it."""
    return hole_state(
        dataset,
        version=version,
        surface=state.memory.reported,
        confidence=state.memory.reported_confidence,
        warnings=state.memory.warnings,
        session_id=state.session_id,
        ball=state.ball,
        cup=state.cup,
        stimp=state.stimp,
        competition_mode=state.competition_mode,
    )


def envelope(
    state: HoleState, dataset: Dataset, warnings: Iterable[str], *, version: str, request_id: str
) -> dict[str, Any]:
    """The answer of `start` and `set_*` (ADV-12)."""
    shown = of_session(state, dataset, version=version)
    return {
        "contract_version": version,
        "request_id": request_id,
        "session_id": state.session_id,
        "hole_state": shown,
        "warnings": distinct((*shown["warnings"], *warnings)),
    }


def advice(situation: Situation, plan: Plan, *, version: str, request_id: str) -> dict[str, Any]:
    """The answer of `get_hole_advice` (ADV-29)."""
    shown = hole_state(
        situation.dataset,
        version=version,
        surface=situation.surface,
        confidence=situation.confidence,
        warnings=situation.surface_warnings,
        session_id=situation.state.session_id if situation.state else None,
        ball=situation.ball,
        cup=situation.cup,
        stimp=situation.stimp,
        competition_mode=situation.competition,
    )
    return {
        "contract_version": version,
        "request_id": request_id,
        "plan_type": plan.plan_type,
        "hole_state": shown,
        "plan": plan.members,
        "warnings": distinct((*shown["warnings"], *plan.warnings)),
        "next_actions": list(plan.next_actions),
    }


def _placed(name: str, placed: Placed | Wgs84 | None, dataset: Dataset) -> dict[str, Any]:
    if placed is None:
        return {}
    position = placed.position if isinstance(placed, Placed) else placed
    members: dict[str, Any] = {
        f"{name}_wgs84": wgs84(position),
        f"{name}_local_green": point(geometry.to_local(position, dataset.manifest.frame)),
    }
    if isinstance(placed, Placed):
        members[f"{name}_timestamp_utc"] = clock.stamp(placed.at)
    return members
