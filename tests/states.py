"""The calls on a state, as a client of the HTTP door makes them."""

import json
from typing import Any

from tests.clients import Api

SID = "550e8400-e29b-41d4-a716-446655440000"


def save(api: Api, state: Any, session_id: str = SID, user_id: str = "u1", **over: Any) -> Any:
    """POST /session/snapshot."""
    return api.post("/session/snapshot", {"session_id": session_id, "user_id": user_id, "state_data": state, **over})


def update(api: Api, base_version: int, changes: Any = None, deleted: Any = None, **over: Any) -> Any:
    """POST /session/incremental."""
    body = {"session_id": SID, "user_id": "u1", "base_version": base_version}
    body |= {} if changes is None else {"changes": changes}
    body |= {} if deleted is None else {"deleted_keys": deleted}
    return api.post("/session/incremental", body | over)


def resolve(api: Api, client_version: int, client_state: Any, strategy: str = "merge", **over: Any) -> Any:
    """POST /session/conflict/resolve."""
    body = {"session_id": SID, "client_version": client_version, "client_state": client_state}
    return api.post("/session/conflict/resolve", body | {"resolution_strategy": strategy} | over)


def patch(api: Api, body: Any, kind: str = "merge", **headers: str) -> Any:
    """PATCH /session/{id}."""
    return api.raw("PATCH", f"/session/{SID}", json.dumps(body).encode(), f"application/{kind}-patch+json", **headers)


def refused(answer: Any) -> tuple[int, str]:
    """Status and code of a problem document."""
    assert answer["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]
