"""The steps of the demo, in order. A further step is one function and one line of STEPS."""

import asyncio
import hashlib
import io
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy

from launcher.demo import camera
from launcher.demo.device import DEVICE_JOINED, DEVICE_LIST, SNAPSHOT, SNAPSHOT_REQUEST, STATE_UPDATE, Device
from launcher.paths import ROOT
from launcher.processes import PYTHON

# Hole 2 of the shipped course: 3 m from the cup, the cup, 100 m to the west.
_BALL = {"lat": 56.336128337, "lon": -2.804206626}
_CUP = {"lat": 56.336128260, "lon": -2.804158103}
_AWAY = {"lat": 56.336130860, "lon": -2.805824066}


class Unexpected(Exception):
    """A step saw something else than the contract promises."""


@dataclass(slots=True)
class Story:
    """What the steps have learnt so far."""

    web: str
    http: httpx.AsyncClient
    user_id: str
    password: str
    token: str = ""
    session_id: str = ""
    devices: list[Device] = field(default_factory=list)
    captured: dict[str, Any] = field(default_factory=dict)

    async def leave(self) -> None:
        """Close what is still open."""
        for device in self.devices:
            await device.leave()


async def sign_in(story: Story) -> None:
    """With a name and a password (OPS-18)."""
    asked = {"username": story.user_id, "password": story.password}
    answer = _expect(await story.http.post("/auth/token", json=asked), 200)
    story.token = answer["access_token"]
    story.http.headers["Authorization"] = f"Bearer {story.token}"


async def start_session(story: Story) -> None:
    """Marked as a demo (SES-9)."""
    answer = _expect(
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
    _same(joined["payload"]["device"]["device_id"], "demo-tablet", "the device that joined")
    listed = await story.devices[1].ask(DEVICE_LIST, {})
    _same(listed["payload"]["count"], 2, "devices listed")


async def share_state(story: Story) -> None:
    """Each writes, each sees both writes, and the checksums agree (DEV-42, DEV-43, STA-16)."""
    phone, tablet = story.devices
    for device, key, value in ((phone, "current_mood", "calm"), (tablet, "meditation_progress", 75)):
        ack = await device.set(key, value)
        _same(ack["type"], STATE_UPDATE, f"the answer to a write: {ack['payload']}, type")
    seq = ack["payload"]["seq"]
    for device in story.devices:
        await device.catch_up(seq)
        _same(device.state, {"current_mood": "calm", "meditation_progress": 75}, f"state on {device.device_id}")
        _same(device.checksum, ack["payload"]["checksum"], f"checksum on {device.device_id}")
    snapshot = await tablet.ask(SNAPSHOT_REQUEST, {})
    _same((snapshot["type"], snapshot["payload"]["checksum"]), (SNAPSHOT, tablet.checksum), "the snapshot")


async def capture(story: Story) -> None:
    """Three seconds of a portrait become one row of landmarks per frame (GES-15, GES-19)."""
    said = await camera.capture(
        story.web, token=story.token, user_id=story.user_id, session_id=story.session_id, device_id="demo-tablet"
    )
    _same(said["event"], "capture.completed", f"the outcome {said.get('error_code', '')} {said.get('detail', '')}:")
    _same(said["frames"], camera.FPS * camera.LASTS_S, "frames")
    story.captured = said


async def read_features(story: Story) -> None:
    """The artefact has the announced hash and shape, and its landmarks move."""
    answer = await story.http.get(story.captured["features_url"])
    _same(answer.status_code, 200, "status")
    _same(hashlib.sha256(answer.content).hexdigest(), story.captured["hash"], "hash")
    with numpy.load(io.BytesIO(answer.content), allow_pickle=False) as members:
        rows = members[members.files[0]]
    _same([list(rows.shape), str(rows.dtype)], [story.captured["raw_features_ref"]["shape"], "float32"], "rows")
    if not numpy.ptp(rows, axis=0).max() > 0:
        raise Unexpected("the landmarks stand still")


async def replay_capture(story: Story) -> None:
    """By the command a researcher uses (GES-58)."""
    said = await _manage("replay_capture", story.captured["record_id"])
    if "verdict: ok" not in said:
        raise Unexpected(said)


async def play_golf(story: Story) -> None:
    """A putt, then two samples off the green before the shot: one alone changes nothing (ADV-65, ADV-103)."""
    place = {"session_id": story.session_id}
    started = {"course_id": "baton_links", "hole_id": 2, "ball_wgs84": _BALL, "cup_wgs84": _CUP}
    _expect(await story.http.post("/api/session/start", json={**place, **started}), 200)
    putt = _expect(await story.http.post("/api/get_hole_advice", json=place), 200)
    _same((putt["plan_type"], putt["plan"]["raw"]["dll_return_code"]), ("PUTT", 0), "the plan on the green")
    seen = []
    for _ in range(2):
        moved = await story.http.post("/api/session/set_ball_location", json={**place, "ball_wgs84": _AWAY})
        seen.append(_expect(moved, 200)["hole_state"]["surface_state"])
    _same(seen, ["ON_GREEN", "OFF_GREEN"], "the surface after each sample")
    shot = _expect(await story.http.post("/api/get_hole_advice", json=place), 200)
    _same((shot["plan_type"], shot["warnings"]), ("TEE_TO_GREEN", []), "the plan off the green")
    ended = _expect(await story.http.post("/api/session/end", json=place), 200)
    _same(ended["session_closed"], False, "whether the session ended with the hole")


async def end_session(story: Story) -> None:
    """After the devices have left (SES-15)."""
    await story.leave()
    asked = {**_boundary(story), "session_id": story.session_id}
    answer = _expect(await story.http.post("/session_manager/sessions.end", json=asked), 200)
    _same(answer["end_reason"], "requested", "reason")


async def replay_session(story: Story) -> None:
    """The log, folded, agrees with the rows (SES-60)."""
    said = await _manage("replay_session", story.session_id)
    if not said.startswith(f"ok {story.session_id} "):
        raise Unexpected(said)


STEPS: tuple[tuple[str, Callable[[Story], Awaitable[None]]], ...] = (
    ("sign in", sign_in),
    ("start a session", start_session),
    ("connect a phone and a tablet", join_devices),
    ("share a state between them", share_state),
    ("capture three seconds of a portrait", capture),
    ("read its landmark features", read_features),
    ("replay the capture", replay_capture),
    ("ask for a putt and a shot", play_golf),
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


def _expect(answer: httpx.Response, status: int) -> dict[str, Any]:
    if answer.status_code != status:
        raise Unexpected(f"{answer.request.url.path} answered {answer.status_code}: {answer.text}")
    body: dict[str, Any] = answer.json()
    return body


def _same(seen: object, promised: object, what: str) -> None:
    if seen != promised:
        raise Unexpected(f"{what} is {seen}, not {promised}")


async def _manage(*words: str) -> str:
    """Run a management command and return what it prints. Raises Unexpected if it fails."""
    process = await asyncio.create_subprocess_exec(
        PYTHON, "manage.py", *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    if process.returncode != 0:
        raise Unexpected(f"{words[0]} ended with {process.returncode}: {(out + err).decode().strip()}")
    return out.decode().strip()
