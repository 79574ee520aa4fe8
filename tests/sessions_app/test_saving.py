"""POST /session/snapshot, rule by rule (STA-21 to STA-25)."""

import pytest

from sessions_app.models import Session, StateVersion
from tests.factories import make_session, make_snapshot
from tests.states import SID, patch, refused, save, update


def test_save_opens_a_session_for_a_uuid_only(api):
    """STA-5: implicit, not exclusive, of the user named; an issued id is never created by a client."""
    assert save(api, {}).status_code == 201
    assert refused(save(api, {}, "sess_0123456789abcdef")) == (404, "SESSION_NOT_FOUND")

    session = Session.objects.get()
    assert (session.session_id, session.user_id, session.exclusive, session.is_active) == (SID, "u1", False, True)


def test_save_refused_opens_nothing(api):
    """STA-5: only an accepted write opens the session."""
    assert refused(save(api, {}, version=2)) == (409, "VERSION_CONFLICT")
    assert refused(save(api, {"": 1})) == (400, "INVALID_VALUE")

    assert not Session.objects.exists()


@pytest.mark.parametrize(
    ("version", "state", "status"),
    [
        (None, {"a": 2}, 200),
        (0, {"a": 2}, 200),
        (3, {"a": 2}, 200),
        (2, {"a": 1}, 200),
        (2, {"a": 2}, 409),
        (1, {}, 409),
    ],
)
def test_save_compares_the_version_it_is_to_become(api, version, state, status):
    """STA-21 at current version 2."""
    save(api, {"a": 0})
    save(api, {"a": 1})

    assert save(api, state, version=version).status_code == status


def test_save_of_the_same_state_again_makes_no_version(api):
    """STA-2, STA-21: the identical re-post."""
    first = save(api, {"a": 1, "b": 2.0}, version=1)
    again = save(api, {"b": 2, "a": 1.0}, version=1)

    assert (again.status_code, again.json()) == (200, first.json())
    assert StateVersion.objects.count() == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"1-ca978112ca1bbdca"'}, 412),
        ({"If-None-Match": "*"}, 412),
        ({"If-None-Match": '"1-ca978112ca1bbdca"'}, 200),
    ],
)
def test_writes_meet_their_preconditions(api, headers, status):
    """STA-23: on every write, before its version is looked at."""
    current = save(api, {"a": 1})["ETag"]

    assert patch(api, {"b": 1}, **headers).status_code == status
    assert patch(api, {"b": 1}, **{"If-Match": f'"x", W/{current}'}).status_code == (412 if status == 200 else 200)


def test_preconditions_without_a_state(api):
    """STA-23: `*` needs an existing state, If-None-Match needs none."""
    make_session("u1", exclusive=False, session_id=SID)

    assert refused(patch(api, {}, **{"If-Match": "*"})) == (412, "PRECONDITION_FAILED")
    assert patch(api, {}, **{"If-None-Match": "*"}).status_code == 200


def test_states_over_4096_bytes_are_stored_compressed(api):
    """STA-19: only storage knows; the answer is plain JSON and the checksum of the plain text."""
    state = {"text": "calm " * 2000}
    body = save(api, state).json()

    assert (body["compressed"], body["size_bytes"]) == (True, 10_011)
    assert body["stored_bytes"] < 1000
    update(api, 1, {"n": 1})
    assert api.get(f"/session/{SID}").json()["state_data"] == state | {"n": 1}
    assert api.get(f"/session/{SID}?version=1").json() | {"expires_at": 0} == body | {"expires_at": 0}


def test_numbers_come_back_in_canonical_spelling(api):
    """STA-17 and its clarification."""
    body = (
        b'{"session_id":"%b","user_id":"u1","state_data":{"a":1.0,"b":1e2,"c":100000000000000000,"d":9007199254740992}}'
    )
    assert api.raw("POST", "/session/snapshot", body % SID.encode()).status_code == 201
    text = api.get(f"/session/{SID}").content.decode()

    assert '"state_data":{"a":1,"b":100,"c":100000000000000000,"d":9007199254740992}' in text


def test_snapshot_factory_matches_the_endpoint(db):
    """Other tests build on it."""
    assert make_snapshot("u1", {"a": 1}).canonical == b'{"a":1}'
