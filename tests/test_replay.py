"""Folding the log gives the rows, for every durable verb; a verb that nobody placed here fails the build.

A durable verb is a function that opens a transaction. It either leaves a line in the session's log, and then
`replay_session` must agree after it, or it stands in WITHOUT_A_LINE with the reason why the log is silent about it.
"""

import ast
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from gestures import features, layout
from gestures.features import Extracted
from gestures.machine.moves import Open
from routing import chat, pods
from routing.golf import holes
from sessions_app import cleanup, clock, ids, recorder, sessions
from sessions_app.models import Session
from tests.commands import run
from tests.factories import make_caller, make_event, make_service, make_session
from tests.logs import all_files

pytestmark = pytest.mark.django_db

APPS = ("sessions_app", "devices", "gestures", "routing")

WITHOUT_A_LINE = {
    "sessions_app/access/logins.py": "signing in belongs to a person, not to a session",
    "sessions_app/snapshots.py": "versions have an operation log of their own; a session they open has its start",
    "sessions_app/log/repair.py": "examining writes only what replay_session itself asks for",
    "gestures/slots.py": "a slot is a lease and dies with its holder",
    "devices/handoff.py": "a handoff changes no session; it has rows and receipts of its own",
    "devices/registry.py": "who is connected is presence, which ages",
}

# What only a worker does is played by whole stories, each of which ends in a replay of every log.
PLAYED_BY_STORIES = ("routing/pod/", "routing/chat.py:claim", "routing/chat.py:settle")


def _end(session: Session) -> None:
    sessions.end(session.session_id, user_id=session.user_id, performer_id="carer02", by=make_caller())


def _expire(session: Session) -> None:
    Session.objects.update(last_activity_at="2020-01-01T00:00:00Z")
    assert [closing.act for closing in cleanup.close_idle()] == ["closed"]


def _capture(session: Session) -> None:
    at = clock.parse("2026-03-02T09:20:00.000Z")
    opened = Open(
        record_id=ids.new_record_id(), user_id="u1", session_id=session.session_id, performer_id="u1",
        timestamp_start=at, fps_target=15, width=640, height=480,
    )  # fmt: skip
    rows = bytes(2 * layout.DIMS * 4)
    end = at + dt.timedelta(seconds=2)
    features.store(Extracted(opened, timestamp_end=end, rows=rows, layout="holistic_landmarks_v1", captured_bytes=9))


def _golf(session: Session) -> str:
    started = holes.start(course_id="baton_links", hole_id=1, by=make_caller())
    return started.state.session_id


def _pod(session: Session) -> str:
    pods.create(user_id="u1", session_id=session.session_id, by=make_caller())
    return session.session_id


# Each verb acts on an active session of u1; `start` and `open_implicitly` have acted when the session was made.
VERBS: dict[str, Callable[[Session], Any]] = {
    "sessions_app/sessions.py:start": lambda session: None,
    "sessions_app/sessions.py:open_implicitly": lambda session: make_session("u2", exclusive=False),
    "sessions_app/sessions.py:end": _end,
    "sessions_app/cleanup.py:_close_one": _expire,
    "gestures/features.py:store": _capture,
    "routing/golf/holes.py:start": _golf,
    "routing/golf/holes.py:end": lambda session: holes.end(_golf(session), by=make_caller()),
    "routing/pods.py:_record": _pod,
    "routing/pods.py:wake": lambda session: pods.wake(_pod(session), by=make_caller()),
    "routing/pods.py:sleep": lambda session: pods.sleep(_pod(session), by=make_caller()),
    "routing/chat.py:accept": lambda session: chat.accept(_pod(session), text="Hello", by=make_caller()),
    "sessions_app/recorder.py:append": lambda session: recorder.append(make_event(session), by=make_service()),
}


def transactional() -> list[str]:
    """Every function of the product that opens a transaction and is no helper of one listed."""
    root = Path(settings.BASE_DIR)
    found = []
    for app in APPS:
        for path in sorted((root / app).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.FunctionDef) and "transaction.atomic" in ast.unparse(node):
                    found.append(f"{path.relative_to(root)}:{node.name}")
    return found


def test_every_durable_verb_is_placed():
    # savepoints and parts of verbs that are placed
    inner = {"sessions_app/sessions.py:_insert", "gestures/features.py:_record", "routing/golf/holes.py:_attach"}
    placed = set(VERBS) | inner
    silent = [verb for verb in transactional() if verb.split(":")[0] in WITHOUT_A_LINE]
    played = [verb for verb in transactional() if verb.startswith(PLAYED_BY_STORIES)]
    assert [verb for verb in transactional() if verb not in {*placed, *silent, *played}] == []


def test_every_placed_verb_exists():
    assert set(VERBS) - set(transactional()) == set()


@pytest.mark.parametrize("verb", VERBS)
def test_after_the_verb_the_log_agrees_with_the_rows(verb):
    session = make_session()
    VERBS[verb](session)
    code, out = run("replay_session", "--all")
    assert (code, [line.split()[0] for line in out]) == (0, ["ok"] * len(out)), out
    assert out


@pytest.mark.parametrize("verb", [verb for verb in VERBS if not verb.endswith("sessions.py:start")])
def test_the_verb_leaves_a_line(verb):
    before = _lines()
    VERBS[verb](make_session())
    assert _lines() > before + 1  # the first one is make_session's


def _lines() -> int:
    return sum(len(path.read_bytes().splitlines()) for path in all_files() if path.suffix == ".jsonl")
