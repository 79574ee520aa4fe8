"""`/ws` on a real server: AUTH, state, presence (DEV-1 to DEV-45)."""


def test_auth_opens_a_session(device):
    """DEV-18, DEV-22: without any session a new one is opened."""
    success = device().success

    assert success["type"] == 8
    assert success["payload"]["session_id"].startswith("sess_")


def test_state_update_reaches_everybody(device):
    """DEV-42, DEV-43: the writer's copy is the ack, the others get the same payload without correlation_id."""
    phone = device("phone")
    session_id = phone.success["payload"]["session_id"]
    tablet = device("tablet", session_id=session_id)
    assert phone.next_of(10)["payload"]["device"]["device_id"] == "tablet"

    ack = phone.set("mood", "calm", op_id="op-1")
    copy = tablet.next_of(5)

    assert (ack["type"], ack["payload"]["seq"], copy["payload"]) == (5, 1, ack["payload"])
    assert "correlation_id" not in copy
    assert tablet.call(3)["payload"]["checksum"] == ack["payload"]["checksum"]
    assert tablet.call(12)["payload"]["count"] == 2
