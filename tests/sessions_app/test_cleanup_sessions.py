"""Closing idle sessions as the system (SES-53 to SES-57)."""

import datetime as dt
import json
import os
import subprocess
import sys

import pytest
import time_machine
from django.conf import settings

from sessions_app import clock
from sessions_app.access import logins
from sessions_app.models import Login, Session, State
from tests.commands import run
from tests.factories import make_session, make_snapshot
from tests.logs import events, log_path
from tests.processes import same_stores

pytestmark = pytest.mark.django_db


def cleanup(*arguments):
    """The command's exit code and its lines."""
    return run("cleanup_sessions", *arguments)


def idle(session, seconds):
    Session.objects.filter(pk=session.pk).update(last_activity_at=clock.now() - dt.timedelta(seconds=seconds))
    return session


def test_an_idle_session_is_closed_by_the_system():
    """SES-55, SES-57."""
    session, busy = idle(make_session("u1"), 86401), make_session("u2")
    code, out = cleanup()
    assert (code, out) == (0, [f"closed {session.session_id} u1 idle=86401", "closed=1 failed=0 active=1"])
    end = events("u1", session.session_id)[-1]
    assert (end["performer_id"], end["end_reason"], end["session_id"]) == ("system", "timeout", session.session_id)
    assert end["record_id"] != events("u1", session.session_id)[0]["record_id"]
    assert Session.objects.get(pk=busy.pk).is_active


def test_a_session_at_its_limit_is_not_idle_before(settings):
    settings.SESSION_TIMEOUT_SECONDS = 100
    idle(make_session("u1"), 95)
    assert cleanup()[1] == ["closed=0 failed=0 active=1"]


def test_dry_run_closes_nothing():
    session = idle(make_session("u1"), 90000)
    assert cleanup("--dry-run")[1] == [f"would-close {session.session_id} u1 idle=90000", "closed=0 failed=0 active=1"]


def test_older_than_replaces_the_limit_of_every_kind():
    """SES-56's clarification."""
    idle(make_session("u1"), 20)
    idle(make_session("u2", exclusive=False), 20)
    assert cleanup("--older-than", "10")[1][-1] == "closed=2 failed=0 active=0"


def test_one_failure_does_not_stop_the_rest():
    """SES-56: oldest first, exit 1."""
    broken, fine = idle(make_session("u1"), 90002), idle(make_session("u2"), 90001)
    path = log_path("u1", broken.session_id)
    path.parent.rename(path.parent.with_name("elsewhere"))
    code, out = cleanup()
    assert code == 1
    assert [line.split()[0:2] for line in out[:2]] == [["failed", broken.session_id], ["closed", fine.session_id]]
    assert out[2] == "closed=1 failed=1 active=1"


def test_json_prints_one_object_per_line():
    idle(make_session("u1"), 90000)
    assert [json.loads(line) for line in cleanup("--json")[1]][1] == {"closed": 1, "failed": 0, "active": 0}


@pytest.mark.parametrize("arguments", [("--older-than", "0"), ("--loop", "0"), ("--older-than", "x")])
def test_bad_arguments_are_refused(arguments):
    assert cleanup(*arguments)[0] != 0


def test_what_is_kept_only_for_a_time_is_erased(settings):
    """STA-59, OPS-23: a state long expired, a login whose refresh token is dead, an old revocation."""
    with time_machine.travel("2020-01-01T00:00:00Z"):
        snapshot = make_snapshot()
        pair = logins.begin("u1")
        logins.revoke(logins.of_refresh_token(pair["refresh_token"]))
    code, out = cleanup()
    assert code == 0
    assert {"erased 1 states", "erased 1 revocations"} <= set(out)
    assert any(line.startswith("erased") and line.endswith("logins") for line in out)
    assert not State.objects.filter(session_id=snapshot.session_id).exists()
    assert not Login.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_log_lines_do_not_mix_with_the_answer():
    """OPS-62: stdout holds JSON and nothing else, whatever is logged meanwhile."""
    session = idle(make_session("u1"), 90000)
    path = log_path("u1", session.session_id)
    path.parent.rename(path.parent.with_name("elsewhere"))  # the closing fails, which is logged
    ran = subprocess.run(
        [sys.executable, "manage.py", "cleanup_sessions", "--json"],
        cwd=settings.BASE_DIR, env={**os.environ, **same_stores()}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 1, ran.stderr
    assert [json.loads(line) for line in ran.stdout.splitlines()][1] == {"closed": 0, "failed": 1, "active": 1}
    assert "eventlog.append_failed" in ran.stderr or "session.close_failed" in ran.stderr


def test_a_write_counts_though_nobody_could_note_it(settings):
    """SES-54: a state is written without the lock of its session's row, whose holder keeps the note of it away."""
    settings.SESSION_TIMEOUT_SECONDS = 100
    session = make_session("u1")
    make_snapshot("u1", {"n": 0}, session_id=session.session_id)
    idle(session, 101)
    assert cleanup() == (0, ["closed=0 failed=0 active=1"])

    State.objects.update(updated_at=clock.now() - dt.timedelta(seconds=100))
    assert cleanup()[1][0] == f"closed {session.session_id} u1 idle=100"
