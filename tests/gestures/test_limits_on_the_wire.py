"""Every limit at its value and one beyond, over both transports, each with its own code (GES-3, GES-84)."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.captures import at, capture_socket, make_jpeg, make_meta, make_open, padded_jpeg
from tests.gestures.uploading import upload


@dataclass
class Take:
    """One capture: `count` frames, evenly over `spread_ms` unless `times` names each; closed at `end_ms`."""

    count: int = 1
    spread_ms: float = 2000
    end_ms: float = 2000
    times: list[float] = field(default_factory=list)
    size: tuple[int, int] = (64, 64)
    fps: int = 15
    frame_bytes: int | None = None
    last_bytes: int | None = None

    @property
    def opening(self) -> dict[str, Any]:
        return {"fps_target": self.fps, "width": self.size[0], "height": self.size[1]}

    def jpegs(self) -> list[bytes]:
        one = padded_jpeg(self.frame_bytes, self.size) if self.frame_bytes else make_jpeg(size=self.size)
        last = [] if self.last_bytes is None else [bytes(self.last_bytes)]
        return [one] * (self.count - len(last)) + last

    def at(self, number: int) -> float:
        return self.times[number] if self.times else number * self.spread_ms / max(1, self.count)


def over_the_socket(live, session, take):
    with capture_socket(live.url, live.token) as socket:
        answer = socket.open(make_open(session, **take.opening))
        if answer["event"] != "capture.ack":
            return answer["error_code"]
        for number, jpeg in enumerate(take.jpegs()):
            socket.frame(number + 1, jpeg, take.at(number))
        socket.finish(take.end_ms)
        outcome = socket.outcome()
    return outcome.get("error_code", f"T={outcome.get('frames')}")


def over_http(live, session, take):
    jpegs = take.jpegs()
    meta = make_meta(session, jpegs, **take.opening, timestamp_end=at(take.end_ms))
    for number, entry in enumerate(meta["frames"]):
        entry["timestamp_frame"] = at(take.at(number))
    found = upload(live, meta, jpegs).json()
    return found["code"].lower() if "code" in found else f"T={found['frames']}"


CASES = [
    (Take(fps=1), "T=1"),
    (Take(fps=0), "limit_fps_exceeded"),
    (Take(fps=16), "limit_fps_exceeded"),
    (Take(size=(640, 480)), "T=1"),
    (Take(size=(480, 640)), "T=1"),
    (Take(size=(641, 480)), "limit_resolution_exceeded"),
    (Take(size=(640, 481)), "limit_resolution_exceeded"),
    (Take(size=(481, 640)), "limit_resolution_exceeded"),
    (Take(size=(64, 63)), "limit_resolution_exceeded"),
    (Take(end_ms=1_999), "limit_duration_too_short"),
    (Take(end_ms=120_000, times=[120_000]), "T=1"),
    (Take(end_ms=120_001), "limit_duration_exceeded"),
    (Take(end_ms=120_001, times=[120_001]), "limit_duration_exceeded"),
    (Take(count=32), "T=32"),
    (Take(count=33), "limit_fps_exceeded"),
    (Take(count=0), "capture_empty"),
    (Take(frame_bytes=300_000), "T=1"),
    (Take(frame_bytes=300_001), "limit_frame_bytes_exceeded"),
    (Take(last_bytes=0), "limit_frame_bytes_exceeded"),
    (Take(last_bytes=1), "frame_decode_failed"),
    (Take(count=1_800, spread_ms=120_000, end_ms=120_000), "T=1800"),
    (Take(count=1_801, spread_ms=120_000, end_ms=120_000), "limit_frame_count_exceeded"),
]
TOTALS = [
    (Take(count=400, spread_ms=30_000, end_ms=30_000, frame_bytes=300_000), "T=400"),
    (Take(count=401, spread_ms=30_000, end_ms=30_000, frame_bytes=300_000, last_bytes=1), "limit_total_bytes_exceeded"),
]


@pytest.mark.parametrize("send", [over_the_socket, over_http])
@pytest.mark.parametrize("cases", [CASES, pytest.param(TOTALS, marks=pytest.mark.soak)])
def test_a_limit_holds_at_its_value_and_not_beyond(live, session, send, cases):
    """GES-3, GES-84: one session, capture after capture; a refused one leaves the next a free slot."""
    assert [(take, send(live, session, take)) for take, _ in cases] == cases
