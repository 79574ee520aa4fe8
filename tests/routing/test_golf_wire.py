"""The common wire rules of the golf endpoints (ADV-1 to ADV-11)."""

import re

import pytest

from sessions_app.models import Session
from tests.clients import Api
from tests.routing.playing import COURSE, at, refused

pytestmark = pytest.mark.django_db
START, BALL, CUP = ("/api/session/start", "/api/session/set_ball_location", "/api/session/set_cup_location")
END, ADVICE = "/api/session/end", "/api/get_hole_advice"
SESSION = "sess_0123456789abcdef"
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def start_body(**over):
    body = {"course_id": COURSE, "hole_id": 2, "ball_wgs84": {"lat": 56.3, "lon": -2.8}, **over}
    return {name: value for name, value in body.items() if value is not ...}


@pytest.mark.parametrize(
    ("over", "field", "code"),
    [
        ({"course_id": ...}, "course_id", "FIELD_MISSING"),
        ({"course_id": None}, "course_id", "FIELD_MISSING"),
        ({"course_id": ""}, "course_id", "FIELD_MISSING"),
        ({"course_id": "../etc"}, "course_id", "FIELD_INVALID"),
        ({"course_id": "Links"}, "course_id", "FIELD_INVALID"),
        ({"course_id": "a" * 65}, "course_id", "FIELD_INVALID"),
        ({"hole_id": 0}, "hole_id", "FIELD_INVALID"),
        ({"hole_id": True}, "hole_id", "FIELD_INVALID"),
        ({"hole_id": 2.0}, "hole_id", "FIELD_INVALID"),
        ({"hole_id": "2"}, "hole_id", "FIELD_INVALID"),
        ({"ball_wgs84": None}, "ball_wgs84", "FIELD_MISSING"),
        ({"ball_wgs84": []}, "ball_wgs84", "FIELD_INVALID"),
        ({"ball_wgs84": {"lat": 56.3}}, "ball_wgs84.lon", "FIELD_MISSING"),
        ({"ball_wgs84": {"lat": None, "lon": 0}}, "ball_wgs84.lat", "FIELD_MISSING"),
        ({"ball_wgs84": {"lat": 90.1, "lon": 0}}, "ball_wgs84.lat", "FIELD_INVALID"),
        ({"ball_wgs84": {"lat": "56", "lon": 0}}, "ball_wgs84.lat", "FIELD_INVALID"),
        ({"ball_wgs84": {"lat": False, "lon": 0}}, "ball_wgs84.lat", "FIELD_INVALID"),
        ({"ball_wgs84": {"lat": 10**400, "lon": 0}}, "ball_wgs84.lat", "FIELD_INVALID"),
        ({"ball_wgs84": {"lat": 1, "lon": 0, "alt_m": 3}}, "ball_wgs84.alt_m", "FIELD_UNKNOWN"),
        ({"stimp": {"ft": 0, "in": 0}}, "stimp", "FIELD_INVALID"),
        ({"stimp": {"ft": 10}}, "stimp.in", "FIELD_MISSING"),
        ({"stimp": {"ft": 10, "in": 12}}, "stimp.in", "FIELD_INVALID"),
        ({"stimp": {"ft": 31, "in": 0}}, "stimp.ft", "FIELD_INVALID"),
        ({"user_id": "../u1"}, "user_id", "FIELD_INVALID"),
        ({"session_id": "sess_0123"}, "session_id", "SESSION_ID_INVALID"),
        ({"competition_mode": 1}, "competition_mode", "FIELD_INVALID"),
        ({"request_id": "../../x"}, "request_id", "FIELD_INVALID"),
        ({"request_id": "a\n"}, "request_id", "FIELD_INVALID"),
        ({"request_id": "x" * 65}, "request_id", "FIELD_INVALID"),
        ({"contract_version": None}, "contract_version", "FIELD_MISSING"),
        ({"accuracy_m": 3}, "accuracy_m", "FIELD_UNKNOWN"),
    ],
)
def test_a_closed_body_names_what_it_refuses(api, over, field, code):
    """ADV-2, ADV-9: one entry with its dotted path; nothing is opened."""
    answer = api.post(START, start_body(**over))

    assert refused(answer) == (400, code)
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [(field, code)]
    assert not Session.objects.exists()


def test_errors_come_in_the_order_of_the_table(api):
    """CON-5: all of them, unknown members last."""
    answer = api.post(START, start_body(zzz=1, hole_id=0, course_id=..., ball_wgs84={"lon": 200, "x": 1}))

    assert [one["field"] for one in answer.json()["errors"]] == [
        "course_id",
        "hole_id",
        "ball_wgs84.lat",
        "ball_wgs84.lon",
        "ball_wgs84.x",
        "zzz",
    ]


@pytest.mark.parametrize("path", [START, BALL, CUP, END])
@pytest.mark.parametrize(
    ("data", "content_type", "expected"),
    [
        (b"{}", "text/plain", (415, "UNSUPPORTED_MEDIA_TYPE")),
        (b'{"x": "' + b"a" * 65_536 + b'"}', "application/json", (413, "BODY_TOO_LARGE")),
        (b"[]", "application/json", (400, "MALFORMED_JSON")),
        (b'{"a": 1, "a": 2}', "application/json", (400, "MALFORMED_JSON")),
        (b'{"hole_id": NaN}', "application/json", (400, "MALFORMED_JSON")),
        (b'{"hole_id": Infinity}', "application/json", (400, "MALFORMED_JSON")),
        (b"{", "application/json", (400, "MALFORMED_JSON")),
    ],
)
def test_a_body_must_be_one_strict_object(api, path, data, content_type, expected):
    """ADV-1."""
    assert refused(api.raw("POST", path, data, content_type)) == expected


@pytest.mark.parametrize("path", [START + "/", "/api/session/start/x", "/v1/api/session/start"])
def test_paths_are_exact(api, path):
    """ADV-1: no trailing slash, no prefix."""
    assert api.post(path, start_body()).status_code == 404


@pytest.mark.parametrize("version", ["0.4.0", "0.6", "", 0.5, 6, {}, []])
def test_a_foreign_version_is_refused_with_those_there_are(api, version):
    """ADV-8 and its clarification."""
    answer = api.post(START, start_body(contract_version=version))

    assert refused(answer) == (400, "UNSUPPORTED_CONTRACT_VERSION")
    assert answer.json()["supported"] == ["0.5.0", "0.6.0"]
    assert answer.json()["contract_version"] == "0.5.0"


def test_a_foreign_version_in_a_query_is_refused(api):
    """ADV-8: the same rule on GET."""
    for path in ("/api/datasets", f"/api/session/{SESSION}"):
        assert refused(api.get(f"{path}?contract_version=1")) == (400, "UNSUPPORTED_CONTRACT_VERSION")


def test_every_answer_echoes_the_version_in_use(api):
    """ADV-8, ADV-11: problems too."""
    assert api.post(START, start_body(contract_version="0.6.0")).json()["contract_version"] == "0.6.0"
    assert api.post(START, start_body(contract_version="0.6.0", x=1)).json()["contract_version"] == "0.6.0"


@pytest.mark.parametrize(
    ("body", "header", "expected"),
    [
        ({"request_id": "b-1"}, "h-1", "b-1"),
        ({}, "h-1", "h-1"),
        ({}, "_h", UUID4),
        ({}, "", UUID4),
        ({"request_id": "../x"}, "h-1", "h-1"),
        ({"request_id": "b-1", "x": 1}, "h-1", "b-1"),
    ],
)
def test_the_request_id_is_one_in_header_and_body(api, body, header, expected):
    """ADV-7: the body's wins, then a valid header, then a UUID4; also in a problem."""
    answer = api.post(START, start_body(**body), **{"X-Request-ID": header})

    said = answer.json()["request_id"]
    assert said == answer["X-Request-ID"]
    assert said == expected or (expected is UUID4 and UUID4.fullmatch(said))


def test_warnings_are_always_there(api):
    """ADV-7."""
    assert api.post(START, start_body(ball_wgs84=at(2, 10))).json()["warnings"] == []


@pytest.mark.parametrize("path", [START, BALL, CUP, END])
def test_nobody_plays_without_a_credential(db, path):
    """ADV-11, CON-6: 401 before anything else."""
    assert refused(Api().raw("POST", path, b"{", "text/plain")) == (401, "UNAUTHENTICATED")


def test_too_many_calls_are_limited(api, settings):
    """ADV-11."""
    settings.RATE_ADVICE = "1/d"
    api.get("/api/datasets")
    answer = api.get("/api/datasets")

    assert refused(answer) == (429, "RATE_LIMITED")
    assert int(answer["Retry-After"]) >= 1


@pytest.mark.parametrize(
    "session_id", ["sess_0", "SESS_0123456789abcdef", "..", "0B4FF0C6-6F0E-4B8E-9D3B-0D8A7B6F2C11"]
)
def test_a_session_id_in_the_path_has_its_form(api, session_id):
    """Section 1: anything else is 400."""
    assert refused(api.get(f"/api/session/{session_id}")) == (400, "SESSION_ID_INVALID")


def test_an_unknown_session_is_404(api):
    """ADV-20."""
    assert refused(api.get(f"/api/session/{SESSION}")) == (404, "SESSION_NOT_FOUND")
    assert refused(api.post(END, {"session_id": SESSION})) == (404, "SESSION_NOT_FOUND")
    assert refused(api.post(BALL, {"session_id": SESSION, "ball_wgs84": at(2, 1)})) == (404, "SESSION_NOT_FOUND")
