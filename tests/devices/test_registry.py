"""What a session knows of its devices after their writes have left the log (DEV-53)."""

import datetime as dt

import pytest
import time_machine

from devices import registry
from sessions_app import clock, snapshots
from sessions_app.models import Session, StateVersion, Writer
from sessions_app.state.operations import Operation
from sessions_app.state.writes import KeyWrite
from tests.factories import make_caller, make_session

pytestmark = pytest.mark.django_db

WEEK = dt.timedelta(days=7)


@pytest.fixture
def session() -> Session:
    return make_session()


def write(session, *device_ids):
    """One version by each."""
    snapshots.commit(
        [
            Operation(
                session_id=session.session_id, user_id="u1", by=make_caller(), device_id=device_id,
                write=KeyWrite(key="k", value=number, operation="SET"),
            )
            for number, device_id in enumerate(device_ids)
        ]
    )  # fmt: skip


def known(session):
    return sorted(device.device_id for device in registry.known(session.session_id))


def test_known_by_a_forgotten_write(session, settings):
    """A busy device does not push the others out; each stays known for a week."""
    settings.HISTORY_VERSIONS = 10
    write(session, "early", *["busy"] * 130)
    log = StateVersion.objects.filter(session_id=session.session_id)
    assert not log.filter(device_id="early").exists()
    assert known(session) == ["busy", "early"]

    with time_machine.travel(clock.now() + WEEK, tick=False):
        assert known(session) == []
        assert registry.forget_old(clock.now()) == 2
    assert Writer.objects.count() == 0


def test_known_after_the_state_was_erased(session, settings):
    """STA-59: the history goes, its writers stay known."""
    settings.SNAPSHOT_TTL_S = 60
    write(session, "web")
    with time_machine.travel(clock.now() + dt.timedelta(minutes=5), tick=False):
        assert snapshots.sweep() == 1
        assert (StateVersion.objects.count(), known(session)) == (0, ["web"])


def test_deleted_after_a_forgotten_write(session, settings):
    """DEV-54: what it wrote before counts no more."""
    settings.HISTORY_VERSIONS = 10
    write(session, "early", *["busy"] * 130)
    registry.disconnect(session.session_id, "early", by=make_caller())

    assert known(session) == ["busy"]
