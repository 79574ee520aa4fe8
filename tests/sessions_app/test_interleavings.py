"""Random interleavings of start, end and validate by several people, against a model of what must happen."""

import random

import pytest

from tests.clients import Api
from tests.commands import run
from tests.factories import make_end, make_start, make_token
from tests.logs import events

pytestmark = pytest.mark.django_db

PEOPLE = ("u1", "u2", "u3")
STEPS = 200


class Model:
    """Who has which exclusive session, and every session there ever was with its owner."""

    def __init__(self) -> None:
        self.active: dict[str, str] = {}
        self.owners: dict[str, str] = {}

    def state(self, session_id: str) -> str:
        return "active" if session_id in self.active.values() else "closed"


def step(chance, apis, model):
    """One random call; returns what was expected and what came."""
    user, verb = chance.choice(PEOPLE), chance.choice(("start", "end", "end", "validate"))
    if verb == "start":
        answer = apis[user].post("/session_manager/sessions.start", make_start(user_id=user))
        expected = 409 if user in model.active else 200
        if answer.status_code == 200:
            model.active[user] = answer.json()["session_id"]
            model.owners[model.active[user]] = user
        return expected, answer.status_code
    session_id = chance.choice([*model.owners, "sess_0123456789abcdef"])
    owner = model.owners.get(session_id)
    if verb == "validate":
        asked = {"user_id": user, "session_id": session_id}
        answer = apis[user].post("/session_manager/sessions.validate", asked)
        return (model.state(session_id) if owner == user else "invalid"), answer.json()["status"]
    answer = apis[user].post("/session_manager/sessions.end", make_end(session_id, user_id=user))
    if owner is None:
        expected = 404
    elif owner != user:
        expected = 403
    else:
        expected = 200 if model.state(session_id) == "active" else 409
    if answer.status_code == 200:
        del model.active[user]
    return expected, answer.status_code


@pytest.mark.parametrize("seed", [1, 2])
def test_every_answer_and_every_line_is_as_the_model_says(seed, settings):
    settings.SESSION_RATE = ""
    chance, model = random.Random(seed), Model()
    apis = {user: Api(make_token(user)) for user in PEOPLE}
    for _ in range(STEPS):
        expected, came = step(chance, apis, model)
        assert came == expected

    for session_id, owner in model.owners.items():
        kinds = [event["event"] for event in events(owner, session_id)]
        assert kinds == ["session.start", "session.end"][: 1 if model.state(session_id) == "active" else 2]
    code, out = run("replay_session", "--all")
    assert (code, len(out)) == (0, len(model.owners))
