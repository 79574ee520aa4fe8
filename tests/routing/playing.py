"""A golfer over HTTP: one call each, positions by hole and local metres."""

from typing import Any

from routing import geometry
from routing.geometry import LocalPoint
from routing.golf import datasets
from tests.clients import Api

COURSE = "baton_links"


def at(hole_id: int, x_m: float, y_m: float = 8.0) -> dict[str, float]:
    """The position of a local point, as a client would send it."""
    frame = datasets.registry().hole(COURSE, hole_id).manifest.frame
    position = geometry.to_wgs84(LocalPoint(x_m, y_m), frame)
    return {"lat": round(position.lat, 9), "lon": round(position.lon, 9)}


class Golfer:
    """Plays one hole after another; the answers come back as they are."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.session_id = ""
        self.hole_id = 0

    def start(self, hole_id: int = 2, **over: Any) -> Any:
        """`start`; remembers the session."""
        answer = self.api.post("/api/session/start", {"course_id": COURSE, "hole_id": hole_id, **over})
        if answer.status_code == 200:
            self.session_id, self.hole_id = answer.json()["session_id"], hole_id
        return answer

    def ball(self, x_m: float, y_m: float = 8.0, **over: Any) -> Any:
        """`set_ball_location`."""
        body = {"session_id": self.session_id, "ball_wgs84": at(self.hole_id, x_m, y_m), **over}
        return self.api.post("/api/session/set_ball_location", body)

    def cup(self, x_m: float, y_m: float = 8.0, **over: Any) -> Any:
        """`set_cup_location`."""
        body = {"session_id": self.session_id, "cup_wgs84": at(self.hole_id, x_m, y_m), **over}
        return self.api.post("/api/session/set_cup_location", body)

    def read(self, query: str = "") -> Any:
        """`GET /api/session/{id}`."""
        return self.api.get(f"/api/session/{self.session_id}{query}")

    def end(self, **over: Any) -> Any:
        """`end`."""
        return self.api.post("/api/session/end", {"session_id": self.session_id, **over})

    def advice(self, **over: Any) -> Any:
        """`get_hole_advice` for the session."""
        return self.api.post("/api/get_hole_advice", {"session_id": self.session_id, **over})


def said(answer: Any) -> tuple[str, float]:
    """State and confidence an answer reports."""
    state = answer.json().get("hole_state", answer.json())
    return state["surface_state"], state["surface_confidence"]


def codes(answer: Any) -> list[str]:
    """The codes of an answer's warnings."""
    return [text.split(":")[0] for text in answer.json()["warnings"]]


def refused(answer: Any) -> tuple[int, str]:
    """Status and code of a problem, which has the common form."""
    problem = answer.json()
    assert answer["Content-Type"] == "application/problem+json"
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer["X-Request-ID"]
    assert problem["contract_version"] in ("0.5.0", "0.6.0")
    return answer.status_code, problem["code"]
