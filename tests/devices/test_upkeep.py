"""What is done at intervals: clean-up by command, and the count of all processes together (DEV-28, DEV-53, DEV-72)."""

import datetime as dt
import json

import pytest
import time_machine
from django.core.management import call_command

from devices import census, handoff, leases
from devices.leases import Holder
from devices.models import Device, HandoffToken
from sessions_app import clock, redisdoor
from tests.factories import make_caller, make_session

SAYS = {"user_id": "u1", "connected_at": "2026-03-02T09:00:00.000Z"}


@pytest.fixture
def old(db):
    """A device with a lease that has run out, a row of eight days ago, and a handoff of two days ago."""
    session = make_session()
    at = clock.now()
    with time_machine.travel(at - dt.timedelta(days=2), tick=False):
        handoff.offer(session.session_id, source_device="a", target_device="b", by=make_caller())
    Device.objects.seen(session.session_id, ["gone"], at=at - dt.timedelta(days=8))
    holder = Holder(session.session_id, "u1", "silent", "c" * 16)
    leases.take([(holder, SAYS)], at=at.timestamp() - 200, until=at.timestamp() - 80, most=9)
    return session


def clean_up(capsys, *options):
    call_command("cleanup_devices", "--json", *options)
    return json.loads(capsys.readouterr().out)


def test_cleanup(old, capsys):
    """DEV-28, DEV-53, DEV-58; a second run finds nothing."""
    assert clean_up(capsys) == {"announced": 1, "forgotten": 1, "erased": 1}
    assert clean_up(capsys) == {"announced": 0, "forgotten": 0, "erased": 0}
    assert (HandoffToken.objects.count(), Device.objects.filter(device_id="gone").exists()) == (0, False)


def test_cleanup_dry_run(old, capsys):
    """OPS-62: tells, and does nothing."""
    assert (
        clean_up(capsys, "--dry-run") == clean_up(capsys, "--dry-run") == {"announced": 1, "forgotten": 1, "erased": 1}
    )


def test_cleanup_without_redis(old, capsys, settings):
    """OPS-62: what needs no Redis is done, and the exit code says that something failed."""
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    with pytest.raises(SystemExit) as left:
        clean_up(capsys)

    assert left.value.code == 1
    assert json.loads(capsys.readouterr().out) == {"forgotten": 1, "erased": 1}


def test_census_adds_up(db):
    """DEV-72: the processes that reported of late, together."""
    redisdoor.call("hset", census.CENSUS, "other", json.dumps([clock.now().timestamp(), {"total": 3, "session": 2}]))
    redisdoor.call("hset", census.CENSUS, "dead", json.dumps([clock.now().timestamp() - 60, {"total": 9}]))
    census.report({"total": 2, "authenticated": 1, "session": 1})
    make_session()
    figures = census.figures()

    assert figures["connections"] == {"total": 5, "authenticated": 1, "session": 3}
    assert (figures["sessions"], figures["snapshots"]["total"]) == ({"total": 1, "active": 1}, 0)
