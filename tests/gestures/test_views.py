"""Reading completed captures (GES section 8)."""

import base64
import hashlib
import io

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gestures import artifacts, extractor
from gestures.extraction.remote import Remote
from sessions_app import sessions
from tests.clients import Api
from tests.factories import make_caller, make_session, make_token
from tests.gestures.making import make_capture

pytestmark = pytest.mark.django_db

PATH = "/camera_feed_worker/captures"


@pytest.fixture
def session():
    return make_session()


@pytest.fixture
def ref(session):
    return make_capture(session)


def test_one_capture(api, ref):
    """GES-57."""
    found = api.get(f"{PATH}/{ref.record_id}").json()
    assert (found["record_id"], found["duration_s"], found["size_bytes"]) == (str(ref.record_id), 10.0, ref.size_bytes)
    assert found["raw_features_ref"] == ref.raw_features_ref
    assert found["features_url"] == f"{PATH}/{ref.record_id}/features.npz"
    assert found["timestamp_end"] == "2026-03-02T09:20:10.000Z"


def test_the_file_opens_in_numpy_and_names_its_hash(api, ref):
    """GES-54, GES-76."""
    answer = api.get(f"{PATH}/{ref.record_id}/features.npz")
    digest = hashlib.sha256(answer.content)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/octet-stream")
    assert answer["ETag"] == f'"{digest.hexdigest()}"' == f'"{ref.hash}"'
    assert answer["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert answer["Content-Disposition"] == f'attachment; filename="{ref.record_id}.npz"'
    assert (answer["Cache-Control"], answer["Accept-Ranges"]) == ("private, no-cache", "none")
    assert int(answer["Content-Length"]) == len(answer.content) == ref.size_bytes
    assert np.load(io.BytesIO(answer.content))["features"].shape == (5, 214)


def test_head_has_the_same_headers_and_no_body(api, ref):
    """GES section 8."""
    path = f"{PATH}/{ref.record_id}/features.npz"
    head, full = api.raw("HEAD", path, b""), api.get(path)
    assert (head.status_code, head.content, head["ETag"]) == (200, b"", full["ETag"])
    assert head["Content-Length"] == full["Content-Length"]


@pytest.mark.parametrize(
    ("condition", "status"), [('"{}"', 304), ('W/"{}"', 304), ('"a", "{}"', 304), ("*", 304), ('"a"', 200)]
)
def test_who_has_the_file_is_not_sent_it(api, ref, condition, status):
    """GES-54."""
    answer = api.get(f"{PATH}/{ref.record_id}/features.npz", **{"If-None-Match": condition.format(ref.hash)})
    assert (answer.status_code, bool(answer.content)) == (status, status == 200)
    assert answer["ETag"] == f'"{ref.hash}"'


def test_bad_bytes_are_never_served(api, ref):
    """GES-55, and its clarification: the hash is checked before If-None-Match; a link is a missing file."""
    path, where = artifacts.resolve(ref.uri), f"{PATH}/{ref.record_id}/features.npz"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    for headers in ({}, {"If-None-Match": f'"{ref.hash}"'}):
        answer = api.get(where, **headers)
        assert (answer.status_code, answer.json()["code"]) == (409, "ARTIFACT_CORRUPT")
    path.rename(path.with_name("elsewhere"))
    assert (api.get(where).status_code, api.get(where).json()["code"]) == (410, "ARTIFACT_MISSING")
    path.with_name("elsewhere").write_bytes(good)
    path.symlink_to(path.with_name("elsewhere"))
    assert api.get(where).json()["code"] == "ARTIFACT_MISSING"


@pytest.mark.parametrize("tail", ["", "/features.npz"])
def test_a_stranger_sees_nothing(ref, tail, monkeypatch):
    """GES-53, GES-56: 404 before the file is touched, the same as for an unknown one."""
    monkeypatch.setattr(artifacts, "read", lambda uri: pytest.fail("touched"))
    stranger = Api(make_token("u2"))
    foreign = stranger.get(f"{PATH}/{ref.record_id}{tail}")
    unknown = stranger.get(f"{PATH}/7f0f1f7e-6c6e-4b0e-8a0b-2f6f5b0a1d22{tail}")
    assert [answer.status_code for answer in (foreign, unknown)] == [404, 404]
    bodies = [{**answer.json(), "request_id": ""} for answer in (foreign, unknown)]
    assert bodies[0] == bodies[1]
    assert bodies[0]["code"] == "CAPTURE_NOT_FOUND"


def test_a_carer_sees_all_and_closed_sessions_stay_readable(carer, session, ref):
    """GES-53."""
    sessions.end(session.session_id, user_id="u1", performer_id="u1", by=make_caller())
    assert carer.get(f"{PATH}/{ref.record_id}").status_code == 200
    assert carer.get(f"{PATH}/{ref.record_id}/features.npz").status_code == 200
    assert len(carer.get(f"{PATH}?session_id={session.session_id}").json()["captures"]) == 1


@pytest.mark.parametrize("tail", ["", "/features.npz"])
@pytest.mark.parametrize("record_id", ["x", "EA62CB98-FB10-4F35-93A4-1CCB887ED220", "..", "%00", "a" * 36])
def test_a_malformed_id_is_400(api, record_id, tail):
    """GES-53."""
    answer = api.get(f"{PATH}/{record_id}{tail}")
    assert (answer.status_code, answer.json()["code"]) == (400, "FIELD_INVALID")


def test_the_list_is_paged_oldest_first(api, session):
    """GES section 8: no capture twice, none left out."""
    refs = [str(make_capture(session, seed).record_id) for seed in range(5)]
    seen, cursor = [], ""
    for _ in range(3):
        page = api.get(f"{PATH}?session_id={session.session_id}&limit=2{cursor}").json()
        assert page["session_id"] == session.session_id
        seen += [capture["record_id"] for capture in page["captures"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == refs
    assert page["next_cursor"] is None
    assert len(api.get(f"{PATH}?session_id={session.session_id}").json()["captures"]) == 5


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "FIELD_MISSING"),
        ("?session_id=x", 400, "SESSION_ID_INVALID"),
        ("?session_id=sess_0000000000000000", 404, "SESSION_NOT_FOUND"),
        ("?session_id={}&limit=0", 400, "FIELD_INVALID"),
        ("?session_id={}&limit=201", 400, "FIELD_INVALID"),
        ("?session_id={}&limit=1e1", 400, "FIELD_INVALID"),
        ("?session_id={}&cursor=x", 400, "FIELD_INVALID"),
        ("?session_id={}&cursor=%F0%9F%98%80", 400, "FIELD_INVALID"),
    ],
)
def test_a_bad_query_is_told(api, session, query, status, code):
    """GES-53 and its clarification."""
    answer = api.get(PATH + query.format(session.session_id))
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_foreign_session_has_no_list(session):
    """CON-7."""
    answer = Api(make_token("u2")).get(f"{PATH}?session_id={session.session_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "SESSION_NOT_FOUND")


def test_an_upload_never_enters_django(api):
    """GES-24: only the route ahead of it takes one; through a server that lacks that route there is none."""
    answer = api.raw("POST", PATH, b"--b--", content_type="multipart/form-data; boundary=b")
    assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")


def test_without_its_library_the_rest_runs_and_says_so(api, monkeypatch):
    """GES-36, OPS-26, OPS-29: /readyz stays 200 and names it, /health is degraded and warns; sessions go on."""
    broken = Remote(host="127.0.0.1", port=9, key=b"k")
    broken.broken = "ImportError: libGL.so.1"
    monkeypatch.setattr(extractor, "_sources", {object(): broken})
    ready, health = api.get("/readyz"), api.get("/health").json()
    assert (ready.status_code, ready.json()["checks"]["extractor"]) == (200, "unavailable")
    assert (health["status"], health["extractor"]) == ("degraded", "unhealthy")
    assert any(warning.startswith("EXTRACTOR_UNAVAILABLE: ") for warning in health["warnings"])
    assert make_capture(make_session()).frames == 5


def test_reading_needs_a_caller(db, ref):
    """CON-12."""
    assert Api().get(f"{PATH}/{ref.record_id}").status_code == 401


def test_reads_are_limited(api, ref, settings):
    """OPS-47."""
    settings.RATE_CAPTURE_READ = "1/d"
    answers = [api.get(f"{PATH}/{ref.record_id}").status_code for _ in range(2)]
    assert answers == [200, 429]


def test_a_list_costs_as_much_for_one_as_for_many(api, session):
    """No query per capture."""
    counts = []
    api.get(f"{PATH}?session_id={session.session_id}")  # the caller's revocations are remembered from here on
    for seed in range(4):
        make_capture(session, seed)
        with CaptureQueriesContext(connection) as queries:
            api.get(f"{PATH}?session_id={session.session_id}")
        counts.append(len(queries))
    assert len(set(counts)) == 1
