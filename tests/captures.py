"""Captures as a client makes them: pictures, messages, a socket to `/ws/capture` and the body of an upload."""

import datetime as dt
import io
import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from sessions_app import clock
from sessions_app.models import Session

START = dt.datetime(2026, 3, 2, 9, 20, tzinfo=dt.UTC)
BOUNDARY = "b0undary"


def at(ms: float) -> str:
    """Event time, in milliseconds after the capture's start."""
    return clock.stamp(START + dt.timedelta(milliseconds=ms))


def make_jpeg(shade: int = 0, size: tuple[int, int] = (64, 64), **options: Any) -> bytes:
    """One generated picture; each shade gives other bytes."""
    file = io.BytesIO()
    Image.new("RGB", size, (shade % 256, 255 - shade % 256, shade * 7 % 256)).save(file, "JPEG", **options)
    return file.getvalue()


def make_jpegs(count: int, size: tuple[int, int] = (64, 64)) -> list[bytes]:
    """So many pictures, each different."""
    return [make_jpeg(shade, size) for shade in range(count)]


def padded_jpeg(size_bytes: int, size: tuple[int, int] = (64, 64)) -> bytes:
    """A picture of exactly so many bytes: comments fill it up."""
    plain = make_jpeg(1, size)
    missing = size_bytes - len(plain)
    comments = b""
    while missing:
        length = min(missing, 65_000) if missing != 65_003 else 60_000
        comments += b"\xff\xfe" + (length - 2).to_bytes(2, "big") + bytes(length - 4)
        missing -= length
    return plain[:2] + comments + plain[2:]


def make_open(session: Session, **over: Any) -> dict[str, Any]:
    """`capture.open`; a member set to `...` is left out."""
    members = {
        "event": "capture.open",
        "schema_version": "1.0.1",
        "record_id": str(uuid.uuid4()),
        "user_id": session.user_id,
        "session_id": session.session_id,
        "timestamp": at(0),
        "performer_id": session.user_id,
        "timestamp_start": at(0),
        "fps_target": 15,
        "width": 64,
        "height": 64,
        "encoding": "jpeg",
        "annotation": {"intent": "drink"},
        **over,
    }
    return {name: value for name, value in members.items() if value is not ...}


def make_meta(session: Session, jpegs: Sequence[bytes], *, duration_ms: float = 2000, **over: Any) -> dict[str, Any]:
    """The `meta` of an upload; a member set to `...` is left out."""
    frames = [
        {"seq": seq, "timestamp_frame": at((seq - 1) * duration_ms / max(1, len(jpegs))), "byte_length": len(jpeg)}
        for seq, jpeg in enumerate(jpegs, start=1)
    ]
    members = {**make_open(session), "event": ..., "timestamp_end": at(duration_ms), "frames": frames, **over}
    return {name: value for name, value in members.items() if value is not ...}


def multipart(meta: dict[str, Any] | bytes, jpegs: Iterable[bytes]) -> Iterator[bytes]:
    """The body of an upload, part by part."""
    data = meta if isinstance(meta, bytes) else json.dumps(meta).encode()
    yield part("meta", "application/json", data)
    for jpeg in jpegs:
        yield part("frame", "image/jpeg", jpeg)
    yield f"--{BOUNDARY}--\r\n".encode()


def part(name: str, content_type: str, data: bytes) -> bytes:
    """One part of a multipart body."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\nContent-Type: {content_type}\r\n\r\n'
    return head.encode() + data + b"\r\n"


class CaptureSocket:
    """One connection to `/ws/capture`, with the verbs of a capture."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.close_code: int | None = None

    def say(self, event: str, **members: Any) -> None:
        """One text message."""
        self.connection.send(json.dumps({"event": event, **members}))

    def open(self, message: dict[str, Any]) -> dict[str, Any]:
        """Open the capture; returns the answer, be it the ack or a refusal."""
        self.connection.send(json.dumps(message))
        return self.hear()

    def frame(self, seq: int, jpeg: bytes, ms: float, **over: Any) -> None:
        """One frame with its meta."""
        self.say("capture.frame_meta", **{"seq": seq, "timestamp_frame": at(ms), "byte_length": len(jpeg), **over})
        self.connection.send(jpeg)

    def frames(self, jpegs: Sequence[bytes], *, duration_ms: float = 2000) -> None:
        """All of them, spread over the duration."""
        for seq, jpeg in enumerate(jpegs, start=1):
            self.frame(seq, jpeg, (seq - 1) * duration_ms / len(jpegs))

    def finish(self, ms: float = 2000) -> None:
        """`capture.close`."""
        self.say("capture.close", timestamp_end=at(ms))

    def hear(self, timeout_s: float = 20) -> dict[str, Any]:
        """The next message that is not an ack of a frame."""
        while True:
            message: dict[str, Any] = json.loads(self.connection.recv(timeout=timeout_s))
            if message.get("ack") != "capture.frame":
                return message

    def outcome(self, timeout_s: float = 40) -> dict[str, Any]:
        """The last message before the server closes; the acks before it are passed over."""
        last: dict[str, Any] = {}
        try:
            while True:
                last = json.loads(self.connection.recv(timeout=timeout_s))
        except ConnectionClosed as closed:
            self.close_code = closed.rcvd.code if closed.rcvd else None
        return last


@contextmanager
def capture_socket(url: str, token: str | None = None, **options: Any) -> Iterator[CaptureSocket]:
    """Connect to the server at `url` (http), as the bearer of `token`."""
    headers = dict(options.pop("headers", {}))
    if token:
        headers["Authorization"] = f"Bearer {token}"
    path = options.pop("path", "/ws/capture")
    where = url.replace("http", "ws", 1) + path
    with connect(where, additional_headers=headers, max_size=None, proxy=None, **options) as connection:
        yield CaptureSocket(connection)


def capture(url: str, token: str, message: dict[str, Any], jpegs: Sequence[bytes], *, ms: float = 2000) -> Any:
    """A whole capture over the socket; returns its outcome."""
    with capture_socket(url, token) as socket:
        answer = socket.open(message)
        if answer["event"] != "capture.ack":
            return answer
        socket.frames(jpegs, duration_ms=ms)
        socket.finish(ms)
        return socket.outcome()
