"""The endpoints of the session manager (SES-9 to SES-30)."""

import re
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from sessions_app import sessions
from sessions_app.models import Session, SessionQuerySet
from tests.clients import Api
from tests.factories import make_caller, make_end, make_session, make_start, make_token
from tests.logs import all_files, events, lines

START, END, VALIDATE = (f"/session_manager/sessions.{verb}" for verb in ("start", "end", "validate"))
WIRE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def started(api: Api, **over):
    answer = api.post(START, make_start(**over))
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_start_then_end_leaves_two_ordered_lines(api):
    """SES-75, SES-9, SES-15: answers equal the recorded events."""
    start = started(api)
    end = api.post(END, make_end(start["session_id"], performer_id="carer02")).json()

    recorded = lines("u1", start["session_id"])
    assert [line["event"] for line in recorded] == [start, end]
    assert [event["event"] for event in (start, end)] == ["session.start", "session.end"]
    assert start["record_id"] != end["record_id"]
    assert {uuid.UUID(event["record_id"]).version for event in (start, end)} == {4}
    assert all(WIRE_TIME.fullmatch(line["recorded_at"]) for line in recorded)


def test_start_answers_every_member_in_order(api):
    """SES-9, SES-10, SES-11."""
    start = started(api, session_notes="left hand tired", is_demo=True, device_id="tablet-1")
    assert list(start) == [
        "schema_version", "record_id", "user_id", "session_id", "timestamp", "modality", "source", "performer_id",
        "event", "start_time", "is_training_data", "session_notes", "training_intent_label", "device_id",
        "consent_given", "is_demo",
    ]  # fmt: skip
    assert re.fullmatch(r"sess_[0-9a-f]{16}", start["session_id"])
    assert start["timestamp"] == start["start_time"]
    assert (start["source"], start["performer_id"], start["modality"]) == ("session_manager", "carer01", None)
    assert (start["session_notes"], start["is_demo"], start["device_id"]) == ("left hand tired", True, "tablet-1")


def test_start_never_reuses_the_clients_record_id(api):
    """SES-26."""
    body = make_start()
    assert api.post(START, body).json()["record_id"] != body["record_id"]


def test_second_start_names_the_active_session(api):
    """SES-12, SES-14."""
    first = started(api)
    answer = api.post(START, make_start())
    assert (answer.status_code, answer.json()["code"]) == (409, "SESSION_ALREADY_ACTIVE")
    assert answer.json()["session_id"] == first["session_id"]
    assert len(events("u1", first["session_id"])) == 1


def test_a_closed_session_never_blocks_a_start(api):
    """SES-12."""
    first = started(api)
    api.post(END, make_end(first["session_id"]))
    assert started(api)["session_id"] != first["session_id"]


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"performer_id": ...}, "PERFORMER_REQUIRED"),
        ({"performer_id": None}, "PERFORMER_REQUIRED"),
        ({"performer_id": "  "}, "PERFORMER_REQUIRED"),
        ({"performer_id": "a/b"}, "FIELD_INVALID"),
        ({"performer_id": 7}, "FIELD_INVALID"),
        ({"source": "ui"}, "SOURCE_INVALID"),
        ({"timestamp": "2026-03-02T09:15:04.000Z"}, "FIELD_FORBIDDEN"),
        ({"timestamp": None}, "FIELD_FORBIDDEN"),
        ({"nickname": "x"}, "FIELD_UNKNOWN"),
        ({"schema_version": ...}, "FIELD_MISSING"),
        ({"schema_version": "2.0.0"}, "SCHEMA_VERSION_UNSUPPORTED"),
        ({"schema_version": "1.0"}, "FIELD_INVALID"),
        ({"schema_version": "1.0.1\n"}, "FIELD_INVALID"),
        ({"record_id": "not-a-uuid"}, "FIELD_INVALID"),
        ({"user_id": ""}, "FIELD_MISSING"),
        ({"user_id": ["u1"]}, "FIELD_INVALID"),
    ],
)
@pytest.mark.parametrize("verb", ["start", "end"])
def test_bad_members_are_refused_on_both_verbs(api, verb, over, code):
    """SES-76, SES-2, SES-3, SES-6: 400 and no trace."""
    session = make_session() if verb == "end" else None
    body = make_end(session.session_id, **over) if session else make_start(**over)
    answer = api.post(END if session else START, body)

    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.json()
    assert answer.json()["errors"][0]["field"] == next(iter(over))
    assert Session.objects.filter(status="active").count() == (1 if session else 0)


@pytest.mark.parametrize("member", ["start_time", "session_id"])
@pytest.mark.parametrize("value", [None, "x"])
def test_start_refuses_what_the_server_issues(api, member, value):
    """SES-9's table: forbidden even as null."""
    answer = api.post(START, make_start(**{member: value}))
    assert answer.json()["errors"][0] == {
        "field": member, "code": "FIELD_FORBIDDEN", "detail": answer.json()["errors"][0]["detail"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("over", "field"),
    [
        ({"is_training_data": "true"}, "is_training_data"),
        ({"is_training_data": 1}, "is_training_data"),
        ({"session_notes": "x" * 4001}, "session_notes"),
        ({"training_intent_label": ""}, "training_intent_label"),
        ({"training_intent_label": "x" * 129}, "training_intent_label"),
        ({"consent_given": 0}, "consent_given"),
        ({"device_id": ".."}, "device_id"),
    ],
)
def test_start_refuses_optional_members_out_of_form(api, over, field):
    """SES-9's table."""
    answer = api.post(START, make_start(**over))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def test_errors_follow_the_order_of_the_table(api):
    """CON-5, SES-3."""
    answer = api.post(START, make_start(zzz=1, timestamp=1, is_demo="x", performer_id=..., schema_version=7))
    fields = [error["field"] for error in answer.json()["errors"]]
    assert fields == ["schema_version", "performer_id", "is_demo", "timestamp", "zzz"]
    assert answer.json()["code"] == "FIELD_INVALID"


def test_end_refuses_an_end_reason(api):
    """SES-17."""
    answer = api.post(END, make_end(make_session().session_id, end_reason="timeout"))
    assert answer.json()["code"] == "FIELD_FORBIDDEN"


def test_end_tolerates_and_ignores_an_end_time(api):
    """SES-15's table: checked, then ignored."""
    session = make_session()
    bad = api.post(END, make_end(session.session_id, end_time="2026-03-02 09:15"))
    good = api.post(END, make_end(session.session_id, end_time="2020-01-01T00:00:00+02:00"))
    assert bad.json()["code"] == "FIELD_INVALID"
    assert good.status_code == 200
    assert not good.json()["end_time"].startswith("2020")


@pytest.mark.parametrize(
    "session_id", ["sess_0123", "SESS_0123456789abcdef", "None", 5, "../../etc/passwd", "sess_0123456789abcdef\n"]
)
def test_end_refuses_a_malformed_session_id(api, session_id):
    """SES-5."""
    assert api.post(END, make_end(session_id)).json()["code"] == "SESSION_ID_INVALID"


def test_system_may_be_declared_and_is_recorded(api):
    """SES-30, SES-76: the declaration and the caller are kept apart."""
    start = started(api, performer_id="system")
    assert events("u1", start["session_id"])[0]["performer_id"] == "system"
    assert Session.objects.get().opened_by == "u1"


def test_end_of_an_unknown_session_is_404(api):
    assert api.post(END, make_end("sess_0123456789abcdef")).json()["code"] == "SESSION_NOT_FOUND"


def test_end_by_the_wrong_user_leaves_both_active(api, carer):
    """SES-77."""
    mine, theirs = make_session("u1"), make_session("u2")
    named_wrong = carer.post(END, make_end(theirs.session_id, user_id="u1"))
    foreign = api.post(END, make_end(theirs.session_id, user_id="u2"))
    own_name = api.post(END, make_end(theirs.session_id, user_id="u1"))

    assert (named_wrong.status_code, named_wrong.json()["code"]) == (403, "SESSION_USER_MISMATCH")
    assert (foreign.status_code, foreign.json()["code"]) == (403, "USER_NOT_ALLOWED")
    assert (own_name.status_code, own_name.json()["code"]) == (403, "SESSION_USER_MISMATCH")
    assert Session.objects.active().count() == 2
    assert len(events("u1", mine.session_id)) == len(events("u2", theirs.session_id)) == 1


def test_repeated_end_is_409_and_writes_nothing(api):
    """CON-20, SES-20."""
    session = make_session()
    assert api.post(END, make_end(session.session_id)).status_code == 200
    again = api.post(END, make_end(session.session_id))
    assert (again.status_code, again.json()["code"]) == (409, "SESSION_ALREADY_CLOSED")
    assert len(events("u1", session.session_id)) == 2


def test_end_closes_a_session_that_is_not_exclusive(api):
    """SES-18."""
    session = make_session(exclusive=False)
    assert api.post(END, make_end(session.session_id)).json()["end_reason"] == "requested"


def test_a_session_opened_implicitly_has_its_start_and_is_not_exclusive(api):
    """SES-28, CON-13, CON-14."""
    session = make_session(exclusive=False, session_id="550e8400-e29b-41d4-a716-446655440000")
    assert [event["event"] for event in events("u1", session.session_id)] == ["session.start"]
    assert not session.exclusive
    assert started(api)["session_id"] != session.session_id


def test_operator_acts_for_anyone_and_a_user_only_for_itself(api, carer):
    """SES-7."""
    assert carer.post(START, make_start(user_id="u2")).status_code == 200
    assert api.post(START, make_start(user_id="u3")).json()["code"] == "USER_NOT_ALLOWED"


def test_validate_says_only_what_the_caller_may_know(api, carer):
    """SES-22."""
    session = make_session()
    asked = {"user_id": "u1", "session_id": session.session_id}

    assert api.post(VALIDATE, asked).json() == {"status": "active"}
    assert Api(make_token("u2")).post(VALIDATE, asked).json() == {"status": "invalid"}
    assert carer.post(VALIDATE, {**asked, "user_id": "u2"}).json() == {"status": "invalid"}
    assert api.post(VALIDATE, {**asked, "session_id": "sess_0123456789abcdef"}).json() == {"status": "invalid"}
    api.post(END, make_end(session.session_id))
    assert api.post(VALIDATE, asked).json() == {"status": "closed"}


def test_validate_counts_as_no_activity(api):
    """SES-22."""
    session = make_session()
    api.post(VALIDATE, {"user_id": "u1", "session_id": session.session_id})
    before, session = session.last_activity_at, Session.objects.get()
    assert session.last_activity_at == before


@pytest.mark.parametrize(
    ("data", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "MALFORMED_JSON"),
        (b"[]", "application/json", 400, "MALFORMED_JSON"),
        (b'{"a":1,"a":2}', "application/json", 400, "MALFORMED_JSON"),
        (b'{"a":NaN}', "application/json", 400, "MALFORMED_JSON"),
        (b"\xff{}", "application/json", 400, "MALFORMED_JSON"),
        (b"{}", "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b" " * 65537, "application/json", 413, "BODY_TOO_LARGE"),
        (b" " * 65537, "text/plain", 413, "BODY_TOO_LARGE"),
    ],
)
def test_bodies_that_cannot_be_read(api, data, content_type, status, code):
    """SES-1, CON-6."""
    answer = api.raw("POST", START, data, content_type)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("token", [None, "x", "a.b.c"])
def test_without_a_valid_credential_nothing_is_read(db, token):
    """CON-6: 401 comes before the body."""
    answer = Api(token).raw("POST", START, b"{", "text/plain")
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
    assert answer["WWW-Authenticate"] == "Bearer"


HOSTILE = ["..", ".", "a/b", "../../x", "a\x00b", "x" * 129, "", "\u0430dmin", "a\u202eb", "-x", "a b", "a\n", "%2e%2e"]


@pytest.mark.parametrize("user_id", HOSTILE)
def test_hostile_user_ids_create_nothing(carer, roots, user_id):
    """SES-81, SES-5."""
    assert carer.post(START, make_start(user_id=user_id)).status_code == 400
    assert all_files() == []
    assert sorted(path.name for path in roots.iterdir()) == ["data", "logs"]


@pytest.mark.django_db(transaction=True)
def test_of_twenty_simultaneous_starts_exactly_one_succeeds():
    """SES-13, SES-79."""

    def start_once(_):
        try:
            return Api(make_token("u1")).post(START, make_start()).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        answers = sorted(pool.map(start_once, range(20)))
    assert answers == [200] + [409] * 19
    assert len(all_files()) == 2  # the log and its chain


@pytest.mark.django_db(transaction=True)
def test_a_start_that_meets_a_session_ended_meanwhile_succeeds(monkeypatch):
    """SES-13: what stood in its way has gone before it could be named."""
    caller = make_caller()
    first = sessions.start(user_id="u1", performer_id="u1", by=caller)["session_id"]
    find_active = SessionQuerySet.active

    def after_the_end(rows):
        monkeypatch.undo()
        with ThreadPoolExecutor(1) as other:
            other.submit(_end, first, caller).result(10)
        return find_active(rows)

    monkeypatch.setattr(SessionQuerySet, "active", after_the_end)
    second = sessions.start(user_id="u1", performer_id="u1", by=caller)["session_id"]
    assert [row.session_id for row in Session.objects.active()] == [second]


def _end(session_id, caller):
    try:
        sessions.end(session_id, user_id="u1", performer_id="u1", by=caller)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_of_two_simultaneous_ends_one_succeeds():
    """SES-20."""
    session = make_session()

    def end_once(_):
        try:
            return Api(make_token("u1")).post(END, make_end(session.session_id)).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(end_once, range(8)))
    assert answers == [200] + [409] * 7
    assert [event["event"] for event in events("u1", session.session_id)] == ["session.start", "session.end"]
