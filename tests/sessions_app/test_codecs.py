"""The two encodings of `/ws` carry the same (DEV-7 to DEV-11, DEV-74)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from sessions_app.errors import SessionNotFound
from sessions_app.fanout import frames
from sessions_app.proto import baton_pb2 as pb
from sessions_app.protocol import Frame, MessageType
from sessions_app.sockets import codecs
from sessions_app.sockets.codecs import JSON
from sessions_app.sockets.protowire import PROTO
from sessions_app.sockets.socket_errors import BadFrame, UnknownType
from tests.factories import make_version

IDS = ("sess_0123456789abcdef", "u1", "phone")


def from_json(frame: Frame, correlation_id: str | None = "c-1") -> dict:
    return json.loads(JSON.write(frame, JSON.identity(*IDS), correlation_id, 7))


def from_proto(frame: Frame, shape) -> tuple:
    envelope = pb.WebSocketMessage.FromString(PROTO.write(frame, PROTO.identity(*IDS), "c-1", 7))
    return envelope, shape.FromString(envelope.payload)


def test_proto_files_are_generated_from_the_source(tmp_path: Path):
    """DEV-74: what is checked in is what the generator makes of baton.proto."""
    source = "sessions_app/proto/baton.proto"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([*command, source], cwd=settings.BASE_DIR, check=True, timeout=60)

    for made in (tmp_path / "sessions_app/proto").iterdir():
        assert made.read_text() == Path(settings.BASE_DIR, "sessions_app/proto", made.name).read_text()


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "1", '"x"', "{", '{"type": 1, "type": 1}', '{"payload": {}}', '{"type": "1"}', '{"type": true}',
        '{"type": 5.0}', '{"type": 1, "payload": []}', '{"type": 1, "correlation_id": 5}', '{"type": 1} x',
        '{"type": 1, "payload": {"client_time": NaN}}', json.dumps({"type": 1, "correlation_id": "c" * 65}),
        '{"type": 1, "correlation_id": "\\ud800"}',
    ],
)  # fmt: skip
def test_read_malformed_json(text: str):
    """DEV-11, and the clarification: `true` and `5.0` are no types."""
    with pytest.raises(BadFrame):
        JSON.read(text)


@pytest.mark.parametrize("number", [-1, 0, 2, 4, 6, 8, 15, 2**40])
def test_check_type_not_for_clients(number: int):
    """DEV-11: 0, above 14, and what only the server sends."""
    with pytest.raises(UnknownType):
        JSON.read(json.dumps({"type": number})).check_type()


def test_read_keeps_the_correlation_id_of_a_malformed_frame():
    """DEV-9: even that answer carries it."""
    with pytest.raises(BadFrame) as refused:
        JSON.read('{"type": 1, "payload": 5, "correlation_id": "c-9"}')
    assert refused.value.members["correlation_id"] == "c-9"


@pytest.mark.parametrize(
    "data", [b"\xff", b"\x2a\x05ab", pb.WebSocketMessage(type=pb.STATE_UPDATE, payload=b"\xff").SerializeToString()]
)
def test_read_malformed_proto(data: bytes):
    """DEV-11: protobuf that does not parse is BAD_FRAME."""
    with pytest.raises(BadFrame):
        PROTO.read(data)


def test_read_the_same_auth():
    """DEV-74: members and meanings equal the JSON form; an unset one is absent, a zero within `resume` is none."""
    auth = pb.AuthRequest(token="t", device_id="phone", resume=pb.Resume(epoch="e"))
    envelope = pb.WebSocketMessage(
        type=pb.AUTH, payload=auth.SerializeToString(), session_id=IDS[0], correlation_id="c"
    )
    payload = {"token": "t", "device_id": "phone", "resume": {"epoch": "e", "seq": 0}}
    text = json.dumps({"type": 7, "payload": payload, "session_id": IDS[0], "correlation_id": "c"})

    assert PROTO.read(envelope.SerializeToString()) == JSON.read(text)


def test_read_the_same_state_update():
    """DEV-74: `null` in the bytes of `value` is a value, no bytes are none."""
    update = pb.StateUpdate(key="k", value=b"null", base_version=0)
    envelope = pb.WebSocketMessage(type=pb.STATE_UPDATE, payload=update.SerializeToString())

    assert PROTO.read(envelope.SerializeToString()).payload == {"key": "k", "value": None, "base_version": 0}


def test_write_state_update():
    """DEV-45, DEV-75: one key set is repeated; both encodings tell the same."""
    frame = frames.state_update(make_version(changes=b'{"mood":null}', op_id="op-1"))
    envelope, update = from_proto(frame, pb.StateUpdate)
    payload = from_json(frame)["payload"]

    assert (payload["key"], payload["value"], payload["operation"]) == ("mood", None, "SET")
    assert (payload["seq"], payload["duplicate"], payload["changes"]) == (2, False, {"mood": None})
    assert (update.key, update.value, update.seq, update.op_id) == ("mood", b"null", 2, "op-1")
    assert (envelope.type, envelope.session_id, envelope.correlation_id, envelope.timestamp) == (5, IDS[0], "c-1", 7)


@pytest.mark.parametrize(
    ("changes", "deleted", "told"),
    [
        (b'{"a":1,"b":2}', [], ("", "MERGE", None)),
        (b"{}", ["a"], ("a", "DELETE", None)),
        (b'{"a":1}', ["b"], ("", "MERGE", None)),
        (b"{}", [], ("", "MERGE", None)),
        ('{"é\\"":{"x":1e+21}}'.encode(), [], ('é"', "SET", {"x": 1e21})),
    ],
)
def test_state_update_names_one_key_or_none(changes, deleted, told):
    """DEV-45: exactly one key touched is repeated, several are a MERGE."""
    payload = from_json(frames.state_update(make_version(changes=changes, deleted_keys=deleted)))["payload"]
    assert (payload["key"], payload["operation"], payload["value"]) == told


def test_write_auth_failure():
    """DEV-20, DEV-74: `error_message` is what JSON calls `message`."""
    frame = frames.auth_failure(SessionNotFound())
    _, answer = from_proto(frame, pb.AuthResponse)

    assert from_json(frame)["payload"]["error"] == "SESSION_NOT_FOUND"
    assert (answer.success, answer.code, answer.error_message) == (False, 404, SessionNotFound().detail)


def test_write_empty_snapshot():
    """DEV-39: no state reads as `{}` with the checksum of that."""
    frame = frames.snapshot_response(None, session_id=IDS[0], reason="request")
    _, snapshot = from_proto(frame, pb.Snapshot)

    assert from_json(frame)["payload"]["state_data"] == {}
    assert (snapshot.state_data, snapshot.version, snapshot.HasField("epoch")) == (b"{}", 0, False)


def test_heartbeat_ack_echoes_any_number():
    """DEV-7: `client_time` comes back unchanged."""
    frame = frames.heartbeat_ack(10**30, at=5)
    assert from_json(frame, None)["payload"] == {"server_time": 5, "client_time": 10**30}


def test_write_device_list():
    """DEV-34, DEV-74: texts not given are unset."""
    device = {"device_id": "phone", "device_type": None, "session_id": IDS[0], "user_id": "u1", "is_online": True}
    _, listed = from_proto(frames.device_list(IDS[0], [device]), pb.DeviceList)

    assert (listed.count, listed.devices[0].is_online, listed.devices[0].HasField("device_type")) == (1, True, False)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([], (JSON, None)),
        (["baton.v1.proto", "baton.v1.json"], (PROTO, "baton.v1.proto")),
        (["soap", "baton.v1.json"], (JSON, "baton.v1.json")),
        (["soap"], None),
    ],
)
def test_chosen_subprotocol(offered, chosen):
    """DEV-2: the first offered that is known; none offered is JSON."""
    assert codecs.chosen(offered) == chosen


def test_every_type_of_the_server_has_a_message():
    """DEV-74: there is no frame that protobuf cannot carry."""
    assert {type_.name: int(type_) for type_ in MessageType} == dict(pb.MessageType.items()[1:])
