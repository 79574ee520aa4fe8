"""`POST /schema-recorder/append` (SES-48, SES-49)."""

import datetime as dt
import json

import pytest

from sessions_app import clock, sessions
from sessions_app.models import Session
from tests.clients import Api
from tests.factories import make_caller, make_event, make_session, make_token
from tests.logs import events, lines, log_path

APPEND = "/schema-recorder/append"


def test_append_answers_exactly_two_members(service):
    """SES-49."""
    session = make_session()
    body = make_event(session, extra={"kept": [1, None]}, timestamp="2026-03-02T11:20:00+02:00")
    answer = service.post(APPEND, body)

    assert answer.status_code == 201, answer.content
    line = lines("u1", session.session_id)[-1]
    assert answer.json() == {"record_id": body["record_id"], "recorded_at": line["recorded_at"]}
    assert line["event"] == {**body, "timestamp": "2026-03-02T09:20:00.000Z"}


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"session_id": ...}, "FIELD_MISSING"),
        ({"session_id": "None"}, "SESSION_ID_INVALID"),
        ({"source": ...}, "FIELD_MISSING"),
        ({"source": "Notes"}, "FIELD_INVALID"),
        ({"event": ...}, "FIELD_MISSING"),
        ({"event": "a b"}, "FIELD_INVALID"),
        ({"timestamp": ...}, "FIELD_MISSING"),
        ({"timestamp": "2026-03-02T09:20:00"}, "FIELD_INVALID"),
        ({"record_id": "00000000-0000-1000-8000-000000000000"}, "FIELD_INVALID"),
        ({"performer_id": ...}, "PERFORMER_REQUIRED"),
        ({"modality": "smell"}, "FIELD_INVALID"),
        ({"source": "session_manager"}, "EVENT_RESERVED"),
        ({"source": "landmark_extractor"}, "EVENT_RESERVED"),
        ({"event": "session.note"}, "EVENT_RESERVED"),
        ({"event": "raw_features.ready"}, "EVENT_RESERVED"),
        ({"raw_features_ref": {}}, "EVENT_RESERVED"),
        ({"frame_data": "AAAA"}, "FORBIDDEN_PAYLOAD"),
    ],
)
def test_events_out_of_form_are_refused(service, over, code):
    session = make_session()
    answer = service.post(APPEND, make_event(session, **over))
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert len(events("u1", session.session_id)) == 1


@pytest.mark.parametrize("number", ["1e400", "-1e999", "9" * 5000])
def test_a_number_beyond_a_double_is_not_json_that_a_line_can_hold(service, number):
    """SES-38: it would be Infinity in the log."""
    session = make_session()
    body = json.dumps(make_event(session))[:-1] + f', "x": [{number}]}}'
    answer = service.raw("POST", APPEND, body.encode())
    assert (answer.status_code, answer.json()["code"]) == (400, "MALFORMED_JSON")
    assert len(events("u1", session.session_id)) == 1


def test_nesting_no_parser_follows_is_a_forbidden_payload(service):
    """SES-47."""
    answer = service.raw("POST", APPEND, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    assert (answer.status_code, answer.json()["code"]) == (400, "FORBIDDEN_PAYLOAD")


@pytest.mark.parametrize("roles", [("user",), ("operator",), ("admin",)])
def test_only_a_service_may_append(db, roles):
    """SES-7: admin alone is not service."""
    session = make_session()
    answer = Api(make_token("u1", roles=roles)).post(APPEND, make_event(session))
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


def test_a_wrong_key_is_401(db):
    assert Api(api_key="nobody").post(APPEND, {}).json()["code"] == "UNAUTHENTICATED"


def test_append_to_an_unknown_foreign_or_closed_session(service):
    session = make_session()
    unknown = service.post(APPEND, make_event(session, session_id="sess_0123456789abcdef"))
    foreign = service.post(APPEND, make_event(session, user_id="u2"))
    sessions.end(session.session_id, user_id="u1", performer_id="u1", by=make_caller())
    closed = service.post(APPEND, make_event(session))

    assert [(answer.status_code, answer.json()["code"]) for answer in (unknown, foreign, closed)] == [
        (404, "SESSION_NOT_FOUND"),
        (403, "SESSION_USER_MISMATCH"),
        (409, "SESSION_ALREADY_CLOSED"),
    ]


def test_a_repeated_record_id_tells_when_it_was_recorded(service):
    session = make_session()
    body = make_event(session)
    first = service.post(APPEND, body).json()
    again = service.post(APPEND, body)
    assert (again.status_code, again.json()["code"]) == (409, "RECORD_ID_USED")
    assert again.json()["recorded_at"] == first["recorded_at"]


def test_a_missing_directory_is_said(service):
    session = make_session()
    directory = log_path("u1", session.session_id).parent
    directory.rename(directory.with_name("elsewhere"))
    answer = service.post(APPEND, make_event(session))
    assert (answer.status_code, answer.json()["code"]) == (409, "SESSION_DIR_MISSING")


def test_an_event_within_the_body_limit_but_over_the_line_limit(service):
    """SES-39, SES-48: 413 either way, with its own code."""
    session = make_session()
    frame = len(str(make_event(session, note="")).encode())
    line = service.post(APPEND, make_event(session, note="x" * (524_288 - frame - 20)))
    body = service.raw("POST", APPEND, b" " * 524_289)
    assert (line.status_code, line.json()["code"]) == (413, "EVENT_TOO_LARGE")
    assert (body.status_code, body.json()["code"]) == (413, "BODY_TOO_LARGE")


def test_an_append_is_activity(service):
    """SES-54."""
    session = make_session()
    Session.objects.update(last_activity_at=clock.now() - dt.timedelta(days=1))
    service.post(APPEND, make_event(session))
    session.refresh_from_db()
    assert clock.now() - session.last_activity_at < dt.timedelta(minutes=1)
