"""What a session knows of its hole, as a value and as the JSON document every store holds (ADV-33, ADV-53). Pure."""

import datetime as dt
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from routing.geometry import LocalPoint, Wgs84
from routing.golf.hysteresis import Memory, Sample
from routing.golf.manifest import Stimp
from routing.surface import Surface
from sessions_app import clock

_MOST_SAMPLE_IDS = 32  # ADV-53


@dataclass(frozen=True, slots=True)
class Placed:
    """A position as it was sent, and when it was true."""

    position: Wgs84
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class HoleState:
    """One hole in play; `sample_ids` are the last counted request ids with the digest of their bodies."""

    session_id: str
    course_id: str
    hole_id: int
    competition_mode: bool = False
    ball: Placed | None = None
    cup: Placed | None = None
    stimp: Stimp | None = None
    memory: Memory = field(default_factory=Memory)
    sample_ids: tuple[tuple[str, str], ...] = ()

    def digest_of(self, request_id: str) -> str | None:
        """The digest of the sample this id was counted with, or None."""
        return dict(self.sample_ids).get(request_id)

    def remembering(self, request_id: str, digest: str) -> "HoleState":
        """The same hole with one more sample id."""
        return replace(self, sample_ids=(*self.sample_ids, (request_id, digest))[-_MOST_SAMPLE_IDS:])


def to_document(state: HoleState) -> dict[str, Any]:
    """A JSON object that `from_document` reads back, floats to the last bit."""
    memory = asdict(state.memory)
    memory["last"] = _sample_out(state.memory.last)
    memory["last_timed_at"] = _time_out(state.memory.last_timed_at)
    return {
        "session_id": state.session_id,
        "course_id": state.course_id,
        "hole_id": state.hole_id,
        "competition_mode": state.competition_mode,
        "ball": _placed_out(state.ball),
        "cup": _placed_out(state.cup),
        "stimp": state.stimp and [state.stimp.ft, state.stimp.inches],
        "memory": memory,
        "sample_ids": [list(pair) for pair in state.sample_ids],
    }


def from_document(document: dict[str, Any]) -> HoleState:
    """The value a store's document stands for."""
    return HoleState(
        session_id=document["session_id"],
        course_id=document["course_id"],
        hole_id=document["hole_id"],
        competition_mode=document["competition_mode"],
        ball=_placed_in(document["ball"]),
        cup=_placed_in(document["cup"]),
        stimp=Stimp(*document["stimp"]) if document["stimp"] else None,
        memory=_memory_in(document["memory"]),
        sample_ids=tuple((request_id, digest) for request_id, digest in document["sample_ids"]),
    )


def _memory_in(document: dict[str, Any]) -> Memory:
    last, timed_at = document["last"], document["last_timed_at"]
    return Memory(
        **{
            **document,
            "stable": document["stable"] and Surface(document["stable"]),
            "reported": Surface(document["reported"]),
            "candidate": document["candidate"] and Surface(document["candidate"]),
            "last": Sample(LocalPoint(last["x_m"], last["y_m"]), _time_in(last["at"])) if last else None,
            "last_timed_at": _time_in(timed_at),
            "warnings": tuple(document["warnings"]),
        }
    )


def _sample_out(sample: Sample | None) -> dict[str, Any] | None:
    if sample is None:
        return None
    return {"x_m": sample.ball.x_m, "y_m": sample.ball.y_m, "at": _time_out(sample.at)}


def _placed_out(placed: Placed | None) -> dict[str, Any] | None:
    if placed is None:
        return None
    return {"lat": placed.position.lat, "lon": placed.position.lon, "at": placed.at.isoformat()}


def _placed_in(document: dict[str, Any] | None) -> Placed | None:
    return Placed(Wgs84(document["lat"], document["lon"]), clock.parse(document["at"])) if document else None


def _time_out(at: dt.datetime | None) -> str | None:
    return at.isoformat() if at else None


def _time_in(text: str | None) -> dt.datetime | None:
    return clock.parse(text) if text else None
