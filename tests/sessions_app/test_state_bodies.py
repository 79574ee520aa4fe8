"""What the state endpoints refuse to read (STA-8, STA-10, STA-17, STA-18)."""

import json

import pytest

from tests.states import SID, refused, save


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ('{"a":9007199254740993}', (400, "INVALID_VALUE")),
        ('{"a":1e999}', (400, "INVALID_VALUE")),
        ('{"a":"\\ud800"}', (400, "INVALID_VALUE")),
        ('{"\\udfff":1}', (400, "INVALID_VALUE")),
        ('{"a":"\\u0000"}', (400, "INVALID_VALUE")),
        ('{"":1}', (400, "INVALID_VALUE")),
        ('{"a":NaN}', (400, "MALFORMED_JSON")),
        ('{"a":1,"a":1}', (400, "MALFORMED_JSON")),
        ('{"a":"\xff"}', (400, "MALFORMED_JSON")),
        ("{} x", (400, "MALFORMED_JSON")),
        ("[]", (400, "FIELD_INVALID")),
        ("null", (400, "FIELD_MISSING")),
        ('{"a":' * 33 + "1" + "}" * 33, (400, "TOO_DEEP")),
        ('{"a":' * 5000 + "1" + "}" * 5000, (400, "TOO_DEEP")),
        ('{"a":"' + "x" * 1_048_576 + '"}', (413, "STATE_TOO_LARGE")),
        ("{" + ",".join(f'"k{i}":0' for i in range(10_001)) + "}", (413, "STATE_TOO_LARGE")),
        ('{"a":"' + "x" * 2_097_152 + '"}', (413, "BODY_TOO_LARGE")),
    ],
)
def test_save_refuses_hostile_states(api, state, problem):
    """STA-10, STA-17, STA-18."""
    body = f'{{"session_id":"{SID}","user_id":"u1","state_data":{state}}}'

    assert refused(api.raw("POST", "/session/snapshot", body.encode("latin-1"))) == problem


@pytest.mark.parametrize(
    ("over", "code", "field"),
    [
        ({"session_id": "550E8400-E29B-41D4-A716-446655440000"}, "SESSION_ID_INVALID", "session_id"),
        ({"session_id": None}, "FIELD_MISSING", "session_id"),
        ({"user_id": ".."}, "FIELD_INVALID", "user_id"),
        ({"user_id": 5}, "FIELD_INVALID", "user_id"),
        ({"state_data": "{}"}, "FIELD_INVALID", "state_data"),
        ({"device_id": "a/b"}, "FIELD_INVALID", "device_id"),
        ({"app_version": "v" * 65}, "FIELD_INVALID", "app_version"),
        ({"app_version": "\ud800"}, "FIELD_INVALID", "app_version"),
        ({"version": -1}, "FIELD_INVALID", "version"),
        ({"version": True}, "FIELD_INVALID", "version"),
        ({"version": 1.0}, "FIELD_INVALID", "version"),
        ({"roles": ["admin"]}, "FIELD_UNKNOWN", "roles"),
        ({"\ud800": 1}, "FIELD_UNKNOWN", "?"),
    ],
)
def test_save_refuses_malformed_members(api, over, code, field):
    """STA-1, STA-10, CON-5."""
    answer = save(api, {}, **over)

    assert refused(answer) == (400, code)
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("content_type", ["text/plain", "application/json; charset=utf-16", "", "application/jsonx"])
def test_writes_refuse_other_media(api, content_type):
    """STA-10."""
    assert refused(api.raw("POST", "/session/snapshot", b"{}", content_type)) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_writes_accept_a_charset_and_refuse_an_encoding(api):
    """STA-10, STA-19."""
    body = json.dumps({"session_id": SID, "user_id": "u1", "state_data": {}}).encode()

    assert api.raw("POST", "/session/snapshot", body, 'application/json; charset="UTF-8"').status_code == 201
    gzipped = api.raw("POST", "/session/snapshot", body, **{"Content-Encoding": "gzip"})
    assert refused(gzipped) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_bad_id_in_the_path_is_400(api):
    """STA-1."""
    for path in ("..", "SESS_0123456789abcdef", "x" * 200, "550e8400-e29b-41d4-a716-44665544000g"):
        assert refused(api.get(f"/session/{path}"))[0] in (400, 404)
    assert refused(api.get("/session/nonsense")) == (400, "SESSION_ID_INVALID")
