"""The last step of AUTH for many connections at once (DEV-21, DEV-32, DEV-46)."""

import datetime as dt
import secrets

import pytest

from devices import attachment, presence
from devices.attachment import Entrant
from devices.errors import TooManyConnections
from devices.leases import Holder
from devices.models import Device
from sessions_app import broadcast, clock, ids, sessions
from sessions_app.errors import SessionAlreadyClosed, SessionNotFound
from sessions_app.fanout.resume import Standing
from sessions_app.models import Session
from tests.factories import make_caller, make_session, make_snapshot

pytestmark = pytest.mark.django_db(transaction=True)

TEXTS = {"device_type": "phone", "device_name": None, "os_version": None, "app_version": None}


@pytest.fixture
def told(monkeypatch):
    """What sessions are told, in order."""
    heard = []
    monkeypatch.setattr(broadcast, "to_session", lambda session_id, frame: heard.append((session_id, frame.type.name)))
    monkeypatch.setattr(
        broadcast, "notify_session", lambda session_id, notice: heard.append((session_id, notice.data["connection_id"]))
    )
    return heard


def opened():
    return make_session(exclusive=False).session_id


def entrant(session_id, device_id="phone", user="u1", wanted=None, **texts):
    holder = Holder(session_id, user, device_id, secrets.token_hex(8))
    says = {**TEXTS, **texts, "user_id": user, "connected_at": clock.stamp(clock.now())}
    return Entrant(holder, {**TEXTS, **texts}, says, wanted, None)


def test_each_stands_where_its_session_stands(told):
    """DEV-46, DEV-47: each resumes for itself."""
    fresh, stated = opened(), opened()
    for number in (1, 2, 3):
        state = make_snapshot(state={"n": number}, session_id=stated)
    here, behind, lost = (
        entrant(stated, name, wanted={"epoch": epoch, "seq": seq})
        for name, epoch, seq in [("a", state.epoch, 3), ("b", state.epoch, 1), ("c", ids.new_session_id(), 1)]
    )
    standings = attachment.attach([entrant(fresh), here, behind, lost])

    found = [each for each in standings if isinstance(each, Standing)]
    assert [each.position for each in found] == [(None, 0), *[(state.epoch, 3)] * 3]
    assert [each.missing is None or len(each.missing) for each in found] == [True, 0, 2, True]
    assert [info["device_id"] for info in presence.online(stated)] == ["a", "b", "c"]
    assert told == [(fresh, "DEVICE_JOINED"), *[(stated, "DEVICE_JOINED")] * 3]


def test_one_device_twice(told):
    """DEV-32: of two connections in one batch the later one holds the lease, and what it says of itself counts."""
    session_id = opened()
    older, newer = entrant(session_id, device_name="old"), entrant(session_id, device_name="new")
    attachment.attach([older, newer])

    assert told == [(session_id, "DEVICE_JOINED"), (session_id, older.holder.connection_id)]
    assert [info["connection_id"] for info in presence.online(session_id)] == [newer.holder.connection_id]
    assert Device.objects.get(session_id=session_id, device_id="phone").device_name == "new"


def test_a_refusal_harms_no_other(told, settings):
    """DEV-6, DEV-19: sessions that have ended or are gone, a user with too many sockets."""
    settings.WS_MAX_CONNECTIONS_PER_USER = 1
    open_, closed, user = opened(), opened(), f"u-{secrets.token_hex(4)}"
    sessions.end(closed, user_id="u1", performer_id="u1", by=make_caller())
    asked = [
        entrant(closed, user=user), entrant(open_, "a", user), entrant(ids.new_session_id(), user=user),
        entrant(open_, "b", user), entrant(open_, "c"),
    ]  # fmt: skip
    kinds = [type(answer) for answer in attachment.attach(asked)]

    assert kinds == [SessionAlreadyClosed, Standing, SessionNotFound, TooManyConnections, Standing]
    assert [info["device_id"] for info in presence.online(open_)] == ["a", "c"]
    assert presence.online(closed) == []


def test_connecting_is_activity(told):
    """SES-54."""
    idle, busy, long_ago = opened(), opened(), clock.now() - dt.timedelta(hours=1)
    Session.objects.filter(pk=idle).update(last_activity_at=long_ago)
    before = Session.objects.get(pk=busy).last_activity_at
    attachment.attach([entrant(idle), entrant(busy)])

    assert Session.objects.get(pk=idle).last_activity_at > long_ago
    assert Session.objects.get(pk=busy).last_activity_at == before


def test_nobody(told):
    assert attachment.attach([]) == []
