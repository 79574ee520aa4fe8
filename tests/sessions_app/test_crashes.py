"""Killing a web process at the worst moment of a start and of an end (SES-34, SES-82), and two of them racing."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from sessions_app.models import Session
from tests.clients import Api
from tests.commands import run
from tests.factories import make_end, make_session, make_start, make_token
from tests.logs import all_files, events
from tests.processes import WebProcess

pytestmark = pytest.mark.django_db(transaction=True)

START, END = "/session_manager/sessions.start", "/session_manager/sessions.end"


def bearer(user_id="u1"):
    return {"Authorization": f"Bearer {make_token(user_id)}"}


def replay(*arguments):
    return run("replay_session", *arguments)[0]


@pytest.mark.parametrize(("fault", "line_is_left"), [("start.before_append", False), ("start.before_commit", True)])
def test_killed_in_a_start(fault, line_is_left):
    """A start line without a row at worst; the user starts again under a new id, the stray is repaired."""
    with WebProcess(BATON_FAULT=fault) as web, pytest.raises(httpx.TransportError):
        web.post(START, make_start(), **bearer())
    assert not Session.objects.exists()
    strays = [path.stem for path in all_files() if path.suffix == ".jsonl"]
    assert len(strays) == line_is_left

    again = Api(make_token("u1")).post(START, make_start())
    assert again.status_code == 200
    assert again.json()["session_id"] not in strays
    assert replay("--all") == int(line_is_left)
    assert [replay("--all", "--repair"), replay("--all", "--repair"), replay("--all")] == [0, 0, 0]


@pytest.mark.parametrize(
    ("fault", "line_is_left"), [("end.before_append", False), ("end.after_append", True), ("end.before_commit", True)]
)
def test_killed_in_an_end_and_ended_again(fault, line_is_left):
    """The row is closed from the recorded line; no second line is written."""
    session = make_session()
    with WebProcess(BATON_FAULT=fault) as web, pytest.raises(httpx.TransportError):
        web.post(END, make_end(session.session_id), **bearer())
    left = events("u1", session.session_id)
    assert Session.objects.get().is_active
    assert len(left) == 1 + line_is_left

    answer = Api(make_token("u1")).post(END, make_end(session.session_id))
    assert answer.status_code == 200
    assert answer.json() == events("u1", session.session_id)[-1]
    assert len(events("u1", session.session_id)) == 2
    if line_is_left:
        assert answer.json() == left[-1]
    assert [replay("--all"), replay("--all", "--repair")] == [0, 0]


def test_killed_in_an_end_and_repaired():
    """SES-82: `--repair` ends in exit 0, twice."""
    session = make_session()
    with WebProcess(BATON_FAULT="end.after_append") as web, pytest.raises(httpx.TransportError):
        web.post(END, make_end(session.session_id), **bearer())
    assert [replay("--all"), replay("--all", "--repair"), replay("--all", "--repair")] == [1, 0, 0]
    assert Session.objects.get().status == "closed"
    assert len(events("u1", session.session_id)) == 2


def test_killed_in_an_end_and_cleaned_up():
    """SES-34's table: the clean-up closes the row from the recorded line."""
    session = make_session()
    with WebProcess(BATON_FAULT="end.after_append") as web, pytest.raises(httpx.TransportError):
        web.post(END, make_end(session.session_id), **bearer())
    Session.objects.update(last_activity_at="2020-01-01T00:00:00Z")
    assert run("cleanup_sessions")[0] == 0
    assert Session.objects.get().end_reason == "requested"
    assert replay("--all") == 0


def test_two_replicas_race_on_one_user():
    """SES-13, SES-44: one start and one end succeed, whichever process they reach."""
    with WebProcess() as one, WebProcess() as two, ThreadPoolExecutor(16) as pool:
        webs = [one, two] * 8
        starts = list(pool.map(lambda web: web.post(START, make_start(), **bearer()), webs))
        started = next(answer for answer in starts if answer.status_code == 200)
        body = make_end(started.json()["session_id"])
        ends = list(pool.map(lambda web: web.post(END, body, **bearer()), webs))
    assert sorted(answer.status_code for answer in starts) == [200] + [409] * 15
    assert sorted(answer.status_code for answer in ends) == [200] + [409] * 15
    assert len(events("u1", started.json()["session_id"])) == 2
    assert replay("--all") == 0
