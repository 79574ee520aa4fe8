"""Captures as one HTTP upload, against the live server (GES section 3)."""

import json
import socket
from contextlib import closing

import httpx
import pytest

from gestures import limits
from gestures.ingest import body as ingest_body
from gestures.models import CaptureSlot, FeatureRef
from sessions_app import sessions
from tests.captures import (
    BOUNDARY,
    at,
    capture,
    capture_socket,
    make_jpeg,
    make_jpegs,
    make_meta,
    make_open,
    multipart,
    padded_jpeg,
    part,
)
from tests.factories import make_caller, make_session, make_token
from tests.gestures.observing import eventually, nothing_remains
from tests.gestures.uploading import PATH, TYPE, begun, post, problem, received, upload
from tests.logs import events


def test_an_upload_answers_the_capture_object(live, session):
    """GES-23, GES-57."""
    jpegs = make_jpegs(10)
    meta = make_meta(session, jpegs, device_id="tablet-1")
    answer = upload(live, meta, jpegs)

    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{PATH}/{meta['record_id']}"
    found = answer.json()
    assert list(found) == [
        "record_id", "session_id", "user_id", "performer_id", "device_id", "modality", "timestamp_start",
        "timestamp_end", "duration_s", "frames", "fps_target", "width", "height", "intent", "size_bytes",
        "raw_features_ref", "created_at", "features_url",
    ]  # fmt: skip
    assert (found["frames"], found["duration_s"], found["intent"], found["device_id"]) == (10, 2.0, "drink", "tablet-1")
    ref = FeatureRef.objects.get(record_id=meta["record_id"])
    assert found["raw_features_ref"] == ref.raw_features_ref
    assert events("u1", session.session_id)[-1]["capture"]["bytes"] == sum(map(len, jpegs))


def test_both_transports_give_one_hash(live, session):
    """GES section 3: the same rules, artefact and event."""
    jpegs = make_jpegs(12)
    over_http = upload(live, make_meta(session, jpegs), jpegs).json()
    over_socket = capture(live.url, live.token, make_open(session), jpegs)
    assert over_http["raw_features_ref"]["hash"] == over_socket["hash"]


def test_an_upload_may_come_in_any_pieces(live, session):
    """GES-24: parsed as it streams; without a Content-Length too."""
    jpegs = make_jpegs(3)
    body = b"".join(multipart(make_meta(session, jpegs), jpegs))
    pieces = (body[start : start + 97] for start in range(0, len(body), 97))
    assert post(live, pieces).status_code == 201


def test_a_part_may_leave_its_type_out(live, session):
    """What a part is, its name and place say."""
    jpeg = make_jpeg()
    meta = make_meta(session, [jpeg])
    bare = b"".join(multipart(meta, [jpeg])).replace(b"Content-Type: application/json\r\n", b"")
    assert post(live, bare).status_code == 201


@pytest.mark.parametrize(
    ("over", "status", "name"),
    [
        ({"fps_target": 16}, 400, "LIMIT_FPS_EXCEEDED"),
        ({"width": 63}, 400, "LIMIT_RESOLUTION_EXCEEDED"),
        ({"timestamp_end": at(1999)}, 400, "LIMIT_DURATION_TOO_SHORT"),
        ({"timestamp_end": at(120_001)}, 400, "LIMIT_DURATION_EXCEEDED"),
        ({"frames": []}, 400, "CAPTURE_EMPTY"),
        ({"frames": [{"seq": 2, "timestamp_frame": at(0), "byte_length": 9}]}, 400, "PROTOCOL_VIOLATION"),
        ({"frames": [{"seq": 1, "timestamp_frame": at(0), "byte_length": 300_001}]}, 413, "LIMIT_FRAME_BYTES_EXCEEDED"),
        ({"frames": [{"seq": 1, "timestamp_frame": at(0), "byte_length": 0}]}, 413, "LIMIT_FRAME_BYTES_EXCEEDED"),
        ({"session_id": ...}, 400, "FIELD_MISSING"),
        ({"session_id": "None"}, 400, "SESSION_ID_INVALID"),
        ({"nickname": "x"}, 400, "FIELD_UNKNOWN"),
        ({"session_id": "sess_" + "0" * 16}, 404, "SESSION_INVALID"),
        ({"user_id": "u2"}, 403, "USER_NOT_ALLOWED"),
    ],
)
def test_what_the_meta_decides_is_decided_before_the_frames(live, session, monkeypatch, over, status, name):
    """GES-22, GES-25, CON-5: no frame part follows, and the answer comes all the same."""
    monkeypatch.setattr(ingest_body, "PAUSE_S", 0.02)
    meta = make_meta(session, [make_jpeg()], **over)
    head = part("meta", "application/json", json.dumps(meta).encode()) + part("frame", "image/jpeg", b"")[:40]
    with begun(live, head, length=len(head) + 1_000_000) as connection:
        answer = received(connection)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert f'"code":"{name}"'.encode() in answer
    assert b"connection: close" in answer.lower()
    assert nothing_remains(session)


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (["frame"], "PROTOCOL_VIOLATION"),
        (["meta", "frame"], "PROTOCOL_VIOLATION"),
        (["meta", "frame", "frame", "frame"], "PROTOCOL_VIOLATION"),
        (["meta", "frame", "picture"], "PROTOCOL_VIOLATION"),
        (["meta", "meta", "frame"], "PROTOCOL_VIOLATION"),
        ([], "PROTOCOL_VIOLATION"),
    ],
)
def test_another_name_order_or_number_of_parts_is_refused(live, session, parts, name):
    """GES-21."""
    jpegs = make_jpegs(2)
    meta = json.dumps(make_meta(session, jpegs)).encode()
    frames = iter([*jpegs, *jpegs])
    body = b"".join(
        part("meta", "application/json", meta) if kind == "meta" else part(kind, "image/jpeg", next(frames))
        for kind in parts
    )
    assert problem(post(live, body + f"--{BOUNDARY}--\r\n".encode())) == (400, name)
    assert nothing_remains(session)


@pytest.mark.parametrize(
    ("meta", "status", "name"),
    [(b"{", 400, "PROTOCOL_VIOLATION"), (b"[]", 400, "PROTOCOL_VIOLATION"),
     (b'{"a":1,"a":2}', 400, "PROTOCOL_VIOLATION"), (b"{}" + b" " * 262_143, 413, "BODY_TOO_LARGE")],
)  # fmt: skip
def test_a_malformed_meta_is_refused(live, session, meta, status, name):
    """GES-21's clarification."""
    assert problem(post(live, b"".join(multipart(meta, [])))) == (status, name)


def test_a_meta_at_its_limit_passes(live, session):
    """GES-84: 262,144 bytes."""
    jpeg = make_jpeg()
    meta = json.dumps(make_meta(session, [jpeg])).encode()
    meta += b" " * (limits.MAX_META_BYTES - len(meta))
    assert post(live, b"".join(multipart(meta, [jpeg]))).status_code == 201


@pytest.mark.parametrize(
    ("declared", "sent", "expected"),
    [(300_000, 300_000, 201), (300_000, 300_001, (413, "LIMIT_FRAME_BYTES_EXCEEDED")),
     (300_000, 299_999, (400, "PROTOCOL_VIOLATION")), (9_000, 9_001, (400, "PROTOCOL_VIOLATION"))],
)  # fmt: skip
def test_the_bytes_of_a_frame_are_held_to_what_was_declared(live, session, declared, sent, expected):
    """GES-3: the declared length, then the bytes."""
    meta = make_meta(session, [b""])
    meta["frames"][0]["byte_length"] = declared
    answer = upload(live, meta, [padded_jpeg(sent)])
    assert (answer.status_code if expected == 201 else problem(answer)) == expected


def test_a_body_beyond_its_limit_is_refused_by_its_length(live, session):
    """GES-3: 121,000,000 bytes, told before anything is read."""
    with begun(live, b"", length=121_000_001) as connection:
        assert b'"code":"LIMIT_TOTAL_BYTES_EXCEEDED"' in received(connection)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [({"Content-Type": "application/json"}, (415, "UNSUPPORTED_MEDIA_TYPE")),
     ({"Content-Type": "multipart/form-data"}, (400, "PROTOCOL_VIOLATION")),
     ({"Content-Encoding": "gzip"}, (415, "UNSUPPORTED_MEDIA_TYPE")),
     ({"Authorization": "Bearer forged"}, (401, "UNAUTHENTICATED"))],
)  # fmt: skip
def test_headers_are_checked_first(live, session, headers, expected):
    """CON-6."""
    jpeg = make_jpeg()
    assert problem(upload(live, make_meta(session, [jpeg]), [jpeg], **headers)) == expected


def test_a_picture_that_is_none_ends_the_upload(live, session):
    """GES section 4, over HTTP."""
    jpegs = [make_jpeg(), b"GIF89a" + bytes(999)]
    assert problem(upload(live, make_meta(session, jpegs), jpegs)) == (400, "FRAME_DECODE_FAILED")
    wrong = [make_jpeg(size=(65, 64))]
    assert problem(upload(live, make_meta(session, wrong), wrong)) == (400, "FRAME_SIZE_MISMATCH")
    assert nothing_remains(session)


def test_conflicts_over_http(live, session):
    """GES section 4: 409 for a used record_id, an open capture, a closed session."""
    jpegs = make_jpegs(2)
    meta = make_meta(session, jpegs)
    assert upload(live, meta, jpegs).status_code == 201
    assert problem(upload(live, meta, jpegs)) == (409, "RECORD_ID_USED")
    with capture_socket(live.url, live.token) as running:
        running.open(make_open(session))
        assert problem(upload(live, make_meta(session, jpegs), jpegs)) == (409, "CAPTURE_IN_PROGRESS")
    sessions.end(session.session_id, user_id="u1", performer_id="u1", by=make_caller())
    assert problem(upload(live, make_meta(session, jpegs), jpegs)) == (409, "SESSION_CLOSED")


def test_busy_workers_say_when_to_come_again(live, session):
    """GES-26: 503 with Retry-After: 2."""
    carer = make_token("carer01", roles=("operator",))
    others = [make_session(f"v{number}") for number in range(2)]
    with capture_socket(live.url, carer) as one, capture_socket(live.url, carer) as two:
        one.open(make_open(others[0]))
        two.open(make_open(others[1]))
        answer = upload(live, make_meta(session, make_jpegs(1)), make_jpegs(1))
    assert problem(answer) == (503, "EXTRACTOR_BUSY")
    assert answer.headers["retry-after"] == "2"


def test_uploads_are_limited_per_minute(live, session, settings):
    """GES-25, OPS-48."""
    settings.RATE_CAPTURE = "1/d"
    jpegs = make_jpegs(2)
    first = upload(live, make_meta(session, jpegs), jpegs)
    assert (first.status_code, first.headers["x-ratelimit-remaining"]) == (201, "0")
    assert problem(upload(live, make_meta(session, jpegs), jpegs)) == (429, "RATE_LIMITED")


def test_a_client_that_leaves_within_its_body_leaves_nothing(live, session):
    """GES-18, GES-79."""
    jpegs = make_jpegs(5)
    body = b"".join(multipart(make_meta(session, jpegs), jpegs))
    with begun(live, body[: len(body) // 2], length=len(body)):
        assert eventually(CaptureSlot.objects.exists)
    assert eventually(lambda: not CaptureSlot.objects.exists())
    assert nothing_remains(session)


def test_a_client_that_leaves_after_its_body_is_served_all_the_same(live, session):
    """GES-25."""
    jpegs = make_jpegs(20)
    meta = make_meta(session, jpegs)
    body = b"".join(multipart(meta, jpegs))
    with begun(live, body, length=len(body)):
        pass
    assert eventually(FeatureRef.objects.exists)
    assert FeatureRef.objects.get().frames == 20


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", b"401"), ("x", b"400")])
def test_expecting_clients_are_told_before_they_send(live, session, host, status):
    """A refusal by the headers alone does not invite the body first, be it for the host (CON-17)."""
    lines = [f"POST {PATH} HTTP/1.1", f"Host: {host}", "Expect: 100-continue", f"Content-Type: {TYPE}",
             "Content-Length: 5000000", "", ""]  # fmt: skip
    with closing(socket.create_connection(("127.0.0.1", live.port), timeout=10)) as connection:
        connection.sendall("\r\n".join(lines).encode())
        assert received(connection).startswith(b"HTTP/1.1 %s " % status)


def test_the_same_path_answers_reads_and_refuses_other_methods(live, session):
    """OPS-57."""
    bearer = {"Authorization": f"Bearer {live.token}"}
    found = httpx.get(f"{live.url}{PATH}?session_id={session.session_id}", headers=bearer)
    assert found.json() == {"session_id": session.session_id, "captures": [], "next_cursor": None}
    refused = httpx.delete(live.url + PATH, headers=bearer)
    assert problem(refused) == (405, "METHOD_NOT_ALLOWED")
    assert {"GET", "POST"} <= set(refused.headers["allow"].split(", "))
