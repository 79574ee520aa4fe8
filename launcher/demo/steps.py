"""The steps of the demo, in order. A further step is one function and one line of STEPS."""

import hashlib
import io
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import numpy

from launcher.demo import camera, routed
from launcher.demo.device import (
    BROADCAST,
    DEVICE_JOINED,
    DEVICE_LIST,
    SNAPSHOT,
    SNAPSHOT_REQUEST,
    STATE_UPDATE,
    Device,
)
from launcher.demo.story import Story, Unexpected, expect, manage, same


async def sign_in(story: Story) -> None:
    """With a name and a password (OPS-18)."""
    asked = {"username": story.user_id, "password": story.password}
    answer = expect(await story.http.post("/auth/token", json=asked), 200)
    story.token = answer["access_token"]
    story.http.headers["Authorization"] = f"Bearer {story.token}"


async def start_session(story: Story) -> None:
    """Marked as a demo (SES-9)."""
    answer = expect(
        await story.http.post("/session_manager/sessions.start", json={**_boundary(story), "is_demo": True}), 200
    )
    story.session_id = answer["session_id"]


async def join_devices(story: Story) -> None:
    """A phone, then a tablet; the phone is told (DEV-22, DEV-29)."""
    for device_id, device_type in (("demo-phone", "mobile"), ("demo-tablet", "tablet")):
        story.devices.append(
            await Device.join(
                story.web, token=story.token, session_id=story.session_id, device_id=device_id, device_type=device_type
            )
        )
    joined = await story.devices[0].wait_for(lambda frame: frame["type"] == DEVICE_JOINED)
    same(joined["payload"]["device"]["device_id"], "demo-tablet", "the device that joined")
    listed = await story.devices[1].ask(DEVICE_LIST, {})
    same(listed["payload"]["count"], 2, "devices listed")


async def share_state(story: Story) -> None:
    """Each writes, each sees both writes, and the checksums agree (DEV-42, DEV-43, STA-16)."""
    phone, tablet = story.devices
    for device, key, value in ((phone, "current_mood", "calm"), (tablet, "meditation_progress", 75)):
        ack = await device.set(key, value)
        same(ack["type"], STATE_UPDATE, f"the answer to a write: {ack['payload']}, type")
    seq = ack["payload"]["seq"]
    for device in story.devices:
        await device.catch_up(seq)
        same(device.state, {"current_mood": "calm", "meditation_progress": 75}, f"state on {device.device_id}")
        same(device.checksum, ack["payload"]["checksum"], f"checksum on {device.device_id}")
    snapshot = await tablet.ask(SNAPSHOT_REQUEST, {})
    same((snapshot["type"], snapshot["payload"]["checksum"]), (SNAPSHOT, tablet.checksum), "the snapshot")


async def resolve_conflict(story: Story) -> None:
    """Two changes of one version: one wins, the other is told what differs and is merged (STA-33, STA-39)."""
    seen = story.devices[0].seq
    place = {"session_id": story.session_id, "user_id": story.user_id, "base_version": seen}
    first = {**place, "changes": {"meditation_progress": 80}, "device_id": "demo-phone"}
    second = {**place, "changes": {"meditation_progress": 90, "streak_days": 12}, "device_id": "demo-tablet"}
    expect(await story.http.post("/session/incremental", json=first), 200)
    refused = expect(await story.http.post("/session/incremental", json=second), 409)
    same(refused["conflict"]["conflicting_keys"], ["meditation_progress"], "what is in conflict")
    resolution = {
        "session_id": story.session_id, "client_version": seen, "resolution_strategy": "merge",
        "client_state": {"current_mood": "calm", "meditation_progress": 90, "streak_days": 12},
    }  # fmt: skip
    merged = expect(await story.http.post("/session/conflict/resolve", json=resolution), 200)
    same([one["path"] for one in merged["conflicts"]], ["/meditation_progress"], "the conflicts of the merge")
    for device in story.devices:
        await device.catch_up(merged["version"])
        same(device.checksum, merged["checksum"], f"checksum on {device.device_id}")


async def hand_off(story: Story) -> None:
    """From the phone to the tablet, once; the phone gets the receipt (DEV-57, DEV-61, DEV-62)."""
    ends = {"source_device": "demo-phone", "target_device": "demo-tablet"}
    offer = expect(await story.http.post(f"/session/{story.session_id}/handoff", json=ends), 201)
    path, tablet = f"/session/{story.session_id}/handoff/{offer['token']}", {"X-Device-ID": "demo-tablet"}
    taken = expect(await story.http.get(path, headers=tablet), 200)
    same(taken["state_data"], story.devices[1].state, "the state that was handed over")
    expect(await story.http.get(path, headers=tablet), 410)
    told = await story.devices[0].wait_for(
        lambda frame: frame["type"] == BROADCAST and frame["payload"]["type"] == "handoff_complete"
    )
    same(told["payload"]["data"], taken["receipt"], "the receipt")


async def capture(story: Story) -> None:
    """Three seconds of a portrait become one row of landmarks per frame (GES-15, GES-19)."""
    said = await camera.capture(
        story.web, token=story.token, user_id=story.user_id, session_id=story.session_id, device_id="demo-tablet"
    )
    same(said["event"], "capture.completed", f"the outcome {said.get('error_code', '')} {said.get('detail', '')}:")
    same(said["frames"], camera.FPS * camera.LASTS_S, "frames")
    story.captured = said


async def read_features(story: Story) -> None:
    """The artefact has the announced hash and shape, and its landmarks move."""
    answer = await story.http.get(story.captured["features_url"])
    same(answer.status_code, 200, "status")
    same(hashlib.sha256(answer.content).hexdigest(), story.captured["hash"], "hash")
    with numpy.load(io.BytesIO(answer.content), allow_pickle=False) as members:
        rows = members[members.files[0]]
    same([list(rows.shape), str(rows.dtype)], [story.captured["raw_features_ref"]["shape"], "float32"], "rows")
    if not numpy.ptp(rows, axis=0).max() > 0:
        raise Unexpected("the landmarks stand still")


async def replay_capture(story: Story) -> None:
    """By the command a researcher uses (GES-58)."""
    said = await manage("replay_capture", story.captured["record_id"])
    if "verdict: ok" not in said:
        raise Unexpected(said)


async def end_session(story: Story) -> None:
    """After the devices have left (SES-15)."""
    await story.leave()
    asked = {**_boundary(story), "session_id": story.session_id}
    answer = expect(await story.http.post("/session_manager/sessions.end", json=asked), 200)
    same(answer["end_reason"], "requested", "reason")


async def replay_session(story: Story) -> None:
    """The log, folded, agrees with the rows (SES-60)."""
    said = await manage("replay_session", story.session_id)
    if not said.startswith(f"ok {story.session_id} "):
        raise Unexpected(said)


STEPS: tuple[tuple[str, Callable[[Story], Awaitable[None]]], ...] = (
    ("sign in", sign_in),
    ("start a session", start_session),
    ("connect a phone and a tablet", join_devices),
    ("share a state between them", share_state),
    ("resolve a conflict", resolve_conflict),
    ("hand the session from phone to tablet", hand_off),
    ("capture three seconds of a portrait", capture),
    ("read its landmark features", read_features),
    ("replay the capture", replay_capture),
    ("wake a pod with a message", routed.chat),
    ("ask for a putt and a shot", routed.play_golf),
    ("end the session", end_session),
    ("replay its log", replay_session),
)


def _boundary(story: Story) -> dict[str, Any]:
    return {
        "schema_version": "1.0.1",
        "record_id": str(uuid.uuid4()),
        "user_id": story.user_id,
        "performer_id": story.user_id,
    }
