"""State over the socket: acks, order, conflicts, repetition (DEV-35 to DEV-45)."""

import uuid

from sessions_app.models import State
from sessions_app.proto import baton_pb2 as pb
from sessions_app.state import canonical
from tests.factories import make_token

SNAPSHOT_REQUEST, STATE_UPDATE = 3, 5
EMPTY_CHECKSUM = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def told(frame):
    """What an ERROR says."""
    assert frame["type"] == 6, frame
    return frame["payload"]["code"], frame["payload"]["error"]


def test_state_update_reaches_everybody(device):
    """DEV-42, DEV-43: the writer's copy is the ack; the others get the same payload without correlation_id."""
    phone = device("phone")
    tablet = device("tablet")

    ack = phone.set("mood", "calm", op_id="op-1")
    copy = tablet.next_of(STATE_UPDATE)

    assert (ack["type"], ack["payload"]["seq"], copy["payload"]) == (STATE_UPDATE, 1, ack["payload"])
    assert "correlation_id" not in copy
    assert (ack["device_id"], copy["device_id"]) == ("phone", "tablet")


def test_state_update_says_everything(device, user):
    """DEV-45: the members of the example, and no others."""
    payload = device().set("meditation_progress", 80, op_id="op-1")["payload"]

    assert payload.pop("epoch")
    assert payload == {
        "key": "meditation_progress", "value": 80, "operation": "SET", "changes": {"meditation_progress": 80},
        "deleted_keys": [], "version": 1, "seq": 1, "device_id": "phone", "performer_id": user, "op_id": "op-1",
        "source": "ws", "duplicate": False, "checksum": canonical.document({"meditation_progress": 80}).checksum,
    }  # fmt: skip


def test_other_sessions_hear_nothing(device, user):
    """DEV-43: another session of the same user gets no frame."""
    here, elsewhere = device(), device("tablet", session_id=str(uuid.uuid4()))
    here.set("k", 1)

    assert elsewhere.quiet() == []


REFUSED = [
    ({"key": "k", "value": 1, "operation": "INCR"}, 400, "UNKNOWN_OPERATION"),
    ({"key": "k", "value": 1, "operation": 5}, 400, "UNKNOWN_OPERATION"),
    ({"key": "k"}, 400, "INVALID_UPDATE"),
    ({"value": 1}, 400, "INVALID_UPDATE"),
    ({"key": "", "value": 1}, 400, "INVALID_UPDATE"),
    ({"key": 5, "value": 1}, 400, "INVALID_UPDATE"),
    ({"operation": "DELETE"}, 400, "INVALID_UPDATE"),
    ({"operation": "MERGE", "value": [1]}, 400, "INVALID_UPDATE"),
    ({"key": "k", "value": 1, "base_version": "1"}, 400, "INVALID_UPDATE"),
    ({"key": "k", "value": 1, "op_id": "a b"}, 400, "BAD_FRAME"),
    ({"key": "k", "value": 1, "op_id": "x" * 65}, 400, "BAD_FRAME"),
    ({"key": "k", "value": 2**53 + 1}, 400, "INVALID_VALUE"),
    ({"key": "k", "value": "\ud800"}, 400, "INVALID_VALUE"),
    ({"key": "k" * 257, "value": 1}, 400, "INVALID_VALUE"),
    ({"key": "k", "value": {"": 1}}, 400, "INVALID_VALUE"),
    ({"key": "k", "value": 1, "base_version": 7}, 409, "VERSION_CONFLICT"),
]


def test_refused_writes(device):
    """DEV-36, DEV-37, DEV-42, DEV-66: ERROR and nothing else; a write that is none makes no version."""
    phone, tablet = device(), device("tablet")

    for payload, code, symbol in REFUSED:
        answer = phone.call(STATE_UPDATE, payload)
        assert told(answer) == (code, symbol), payload
        assert answer["payload"]["recoverable"] is True
    assert tablet.call(SNAPSHOT_REQUEST)["payload"]["version"] == 0
    assert tablet.quiet() == []


def test_write_too_deep(device):
    """STA-18."""
    value: object = 1
    for _ in range(33):
        value = [value]
    assert told(device().set("k", value)) == (400, "TOO_DEEP")


def test_operations(device):
    """DEV-36: SET replaces, DELETE removes and allows an absent key, MERGE follows RFC 7396."""
    phone = device()
    phone.set("o", {"a": 1, "b": {"c": 2}})
    phone.call(STATE_UPDATE, {"key": "o", "value": {"a": None, "b": {"d": 3}}, "operation": "MERGE"})
    phone.set("x", None)
    phone.call(STATE_UPDATE, {"key": "absent", "operation": "DELETE", "value": 5})
    last = phone.call(STATE_UPDATE, {"value": {"x": None, "y": True}, "operation": "MERGE"})["payload"]

    assert (last["key"], last["operation"], last["changes"], last["deleted_keys"]) == ("", "MERGE", {"y": True}, ["x"])
    snapshot = phone.call(SNAPSHOT_REQUEST)["payload"]
    assert (snapshot["state_data"], snapshot["version"]) == ({"o": {"b": {"c": 2, "d": 3}}, "y": True}, 5)


def test_conflict_says_what_changed(device):
    """DEV-65: as STA-33 without server_state."""
    phone = device()
    phone.set("a", 1)
    phone.set("a", 2)
    conflict = phone.set("a", 3, base_version=1)["payload"]["conflict"]

    assert conflict.keys() == {"server_version", "client_version", "epoch", "server_checksum", "conflicting_keys"}
    assert (conflict["server_version"], conflict["client_version"], conflict["conflicting_keys"]) == (2, 1, ["a"])


def test_repeated_op_id(device):
    """DEV-44: at most once; the repeat answers the writer alone, with the original frame; other content is refused."""
    phone, tablet = device(), device("tablet")
    first = phone.set("a", 1, op_id="op-1")["payload"]
    phone.set("a", 2)
    tablet.quiet()
    back = device()
    again = back.set("a", 1, op_id="op-1")["payload"]

    assert again == {**first, "duplicate": True}
    assert [frame for frame in tablet.quiet() if frame["type"] == STATE_UPDATE] == []
    assert told(back.set("a", 5, op_id="op-1")) == (409, "OP_ID_REUSED")


def test_snapshot_of_nothing(device):
    """DEV-39."""
    payload = device().call(SNAPSHOT_REQUEST)["payload"]

    assert (payload["state_data"], payload["version"], payload["seq"], payload["epoch"]) == ({}, 0, 0, None)
    assert (payload["checksum"], payload["too_large"], payload["reason"]) == (EMPTY_CHECKSUM, False, "request")
    assert payload["created_at"] is payload["last_updated"] is payload["expires_at"] is payload["device_id"] is None


def test_snapshot(device):
    """DEV-38: the members of the example; times are Unix seconds."""
    phone = device()
    phone.set("a", 1)
    payload = phone.call(SNAPSHOT_REQUEST)["payload"]

    assert payload.keys() == {
        "session_id", "state_data", "created_at", "last_updated", "expires_at", "device_id", "app_version", "version",
        "seq", "epoch", "checksum", "too_large", "reason",
    }  # fmt: skip
    assert payload["expires_at"] - payload["last_updated"] == 604_800
    assert (payload["device_id"], payload["state_data"]) == ("phone", {"a": 1})


def test_large_values(device):
    """DEV-40: an update too long to be sent is replaced, for everyone, by a snapshot; the writer's is the ack."""
    phone, tablet = device(), device("tablet")
    ack = phone.set("big", "x" * 300_000)
    copy = tablet.next_of(4)

    assert (ack["type"], ack["payload"]["reason"], ack["payload"]["too_large"]) == (4, "resync", False)
    assert ("correlation_id" in copy, copy["payload"]) == (False, ack["payload"])
    assert phone.set("small", 1)["payload"]["seq"] == 2


def test_too_large_state(device):
    """DEV-40: a state that does not fit is not sent; all else is filled."""
    phone = device()
    for key in ("a", "b", "c"):
        last = phone.set(key, "x" * 240_000)
    payload = phone.call(SNAPSHOT_REQUEST)["payload"]

    assert (payload["state_data"], payload["too_large"], payload["version"]) == (None, True, 3)
    assert payload["checksum"] == last["payload"]["checksum"]


def test_write_by_http_reaches_the_sockets(web, device, user):
    """DEV-43, STA-68: both doors make the same frames."""
    phone = device()
    body = {"session_id": phone.session_id, "user_id": user, "state_data": {"a": 1, "b": 2}, "device_id": "web"}
    web.post("/session/snapshot", body, Authorization=f"Bearer {make_token(user)}")
    payload = phone.next_of(STATE_UPDATE)["payload"]

    assert (payload["source"], payload["device_id"], payload["op_id"]) == ("snapshot", "web", None)
    assert (payload["key"], payload["operation"], payload["changes"]) == ("", "MERGE", {"a": 1, "b": 2})


def test_expired_state(device):
    """DEV-41, STA-61: the session looks empty; the next write begins a new epoch with seq 1."""
    phone, tablet = device(), device("tablet")
    before = phone.set("a", 1)["payload"]
    tablet.next_of(STATE_UPDATE)
    State.objects.filter(pk=phone.session_id).update(expires_at="2020-01-01T00:00:00Z")
    assert phone.call(SNAPSHOT_REQUEST)["payload"]["version"] == 0
    after, copy = phone.set("b", 2)["payload"], tablet.next_of(STATE_UPDATE)["payload"]

    assert (after["seq"], after["changes"], copy) == (1, {"b": 2}, after)
    assert after["epoch"] != before["epoch"]


def test_both_encodings_tell_the_same(device, visitor, user):
    """DEV-75: JSON and protobuf connections share a session."""
    phone, tablet = device(), visitor(subprotocols=["baton.v1.proto"])
    auth = pb.AuthRequest(token=make_token(user), device_id="tablet")
    tablet.raw(pb.WebSocketMessage(type=pb.AUTH, payload=auth.SerializeToString()).SerializeToString())
    success = pb.WebSocketMessage.FromString(tablet.socket.recv(5))
    phone.set("mood", {"é": None})
    update = pb.StateUpdate.FromString(pb.WebSocketMessage.FromString(tablet.socket.recv(5)).payload)
    snapshot = phone.call(SNAPSHOT_REQUEST)["payload"]

    assert (success.type, success.session_id) == (pb.AUTH_SUCCESS, phone.session_id)
    assert (update.value, update.seq, update.checksum) == ('{"é":null}'.encode(), 1, snapshot["checksum"])


def test_ended_session(web, device, user):
    """STA-6, DEV-26: its sockets hear of the end and close."""
    phone = device()
    end = {"schema_version": "1.0.1", "record_id": str(uuid.uuid4()), "user_id": user, "performer_id": user}
    body = {**end, "session_id": phone.session_id}
    web.post("/session_manager/sessions.end", body, Authorization=f"Bearer {make_token(user)}")

    assert phone.next_of(13)["payload"]["type"] == "session_ended"
    assert phone.close_code() == 4404
