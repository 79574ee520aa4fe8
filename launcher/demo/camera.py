"""A camera in front of a portrait: the picture matplotlib carries, panned and zoomed, sent over `/ws/capture`."""

import asyncio
import importlib.util
import io
import json
import math
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from websockets.asyncio.client import connect

WIDTH, HEIGHT, FPS, LASTS_S = 640, 480, 15, 3
PATIENCE_S = 60.0


def frames() -> list[bytes]:
    """JPEG frames of 640x480: the view wanders and comes nearer, so that the landmarks move."""
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    picture = Image.open(Path(spec.origin).parent / "mpl-data/sample_data/grace_hopper.jpg").convert("RGB")
    return [_jpeg(picture, number / (FPS * LASTS_S)) for number in range(FPS * LASTS_S)]


async def capture(web: str, *, token: str, user_id: str, session_id: str, device_id: str) -> dict[str, Any]:
    """Send three seconds of frames as a camera would and return the last message (GES-15)."""
    shots, began = frames(), datetime.now(UTC)
    url, headers = web.replace("http", "ws", 1) + "/ws/capture", {"Authorization": f"Bearer {token}"}
    async with asyncio.timeout(PATIENCE_S), connect(url, additional_headers=headers, max_size=2**20) as socket:
        about = {
            "event": "capture.open",
            "schema_version": "1.0.1",
            "record_id": str(uuid.uuid4()),
            "user_id": user_id,
            "session_id": session_id,
            "timestamp": _stamp(began),
            "performer_id": user_id,
            "device_id": device_id,
            "is_demo": True,
            "timestamp_start": _stamp(began),
            "fps_target": FPS,
            "width": WIDTH,
            "height": HEIGHT,
            "encoding": "jpeg",
        }
        await socket.send(json.dumps(about))
        last: dict[str, Any] = json.loads(await socket.recv())
        if last["event"] != "capture.ack":
            return last
        for seq, shot in enumerate(shots, 1):
            at = began + timedelta(seconds=(seq - 1) / FPS)
            await asyncio.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()))
            meta = {"event": "capture.frame_meta", "seq": seq, "timestamp_frame": _stamp(at), "byte_length": len(shot)}
            await socket.send(json.dumps(meta))
            await socket.send(shot)
        await socket.send(
            json.dumps({"event": "capture.close", "timestamp_end": _stamp(began + timedelta(seconds=LASTS_S))})
        )
        async for text in socket:  # until the server closes (GES-17)
            last = json.loads(text)
    return last


def _jpeg(picture: Image.Image, progress: float) -> bytes:
    """The view at `progress` (0 to 1): a window of the picture in the camera's proportions."""
    zoom = 1.0 + 0.3 * math.sin(math.pi * progress)
    width = picture.width / 1.1 / zoom
    height = width * HEIGHT / WIDTH
    left = (picture.width - width) * (0.5 + 0.4 * math.sin(2 * math.pi * progress))
    top = 20 * progress
    view = picture.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, (left, top, left + width, top + height))
    out = io.BytesIO()
    view.save(out, "JPEG", quality=85)
    return out.getvalue()


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
