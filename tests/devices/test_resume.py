"""Coming back to a state, and noticing that one is behind (DEV-46 to DEV-50)."""

import pytest

HEARTBEAT = 1


def test_resume(device):
    """DEV-46, DEV-47: what was missed comes frame by frame, after AUTH_SUCCESS and before anything live."""
    phone, tablet = device(), device("tablet")
    epoch = phone.set("a", 1)["payload"]["epoch"]
    phone.drop()
    for number in range(2, 5):
        tablet.set("a", number)
    back = device("phone", resume={"epoch": epoch, "seq": 1})

    assert (back.success["recovered"], back.success["seq"]) == (True, 4)
    assert [back.next()["payload"]["seq"] for _ in range(3)] == [2, 3, 4]


def test_resume_with_nothing_missed(device):
    """DEV-47: recovered, and no frame."""
    epoch = device().set("a", 1)["payload"]["epoch"]
    back = device("tablet", resume={"epoch": epoch, "seq": 1})

    assert back.success["recovered"] is True
    assert back.quiet() == []


@pytest.mark.parametrize(
    "wanted",
    [
        {"epoch": "0b0e4c57-6f0c-4d7e-9a41-3f9d2a7f5c10", "seq": 1}, {"epoch": None, "seq": 0}, {"seq": 1}, "x", 5, [],
        {"epoch": ..., "seq": 9}, {"epoch": ..., "seq": -1}, {"epoch": ..., "seq": "1"}, {"epoch": ..., "seq": True},
    ],
)  # fmt: skip
def test_resume_fails(device, wanted):
    """DEV-47, DEV-48: told so, then one snapshot."""
    epoch = device().set("a", 1)["payload"]["epoch"]
    if isinstance(wanted, dict) and wanted.get("epoch") is ...:
        wanted = {**wanted, "epoch": epoch}
    back = device("tablet", resume=wanted)
    snapshot = back.next()["payload"]

    assert back.success["recovered"] is False
    assert (snapshot["reason"], snapshot["seq"], back.quiet()) == ("resume", 1, [])


def test_resume_beyond_the_gap(device):
    """DEV-46: at most 100 versions one by one."""
    phone = device()
    epoch = phone.set("n", 0)["payload"]["epoch"]
    for number in range(101):
        phone.set("n", number)

    assert device("a", resume={"epoch": epoch, "seq": 2}).success["recovered"] is True
    assert device("b", resume={"epoch": epoch, "seq": 1}).success["recovered"] is False


def test_heartbeat_of_a_client_that_is_behind(device):
    """DEV-50: after the HEARTBEAT_ACK it gets the state; one that is not behind gets nothing."""
    phone = device()
    phone.set("a", 1)
    phone.call(HEARTBEAT, {"client_time": 5, "last_seq": 0})
    resync = phone.next()

    assert (resync["type"], resync["payload"]["reason"], "correlation_id" in resync) == (4, "resync", False)
    phone.call(HEARTBEAT, {"last_seq": 1})
    assert phone.quiet() == []
