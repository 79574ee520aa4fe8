"""A device of a test: one `/ws` connection to a real web process, spoken to in JSON."""

import itertools
import json
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any

from websockets import Subprotocol
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

PATIENCE_S = 5.0
MOST_BYTES = 2**21

Frame = dict[str, Any]


class Device:
    """One socket. `call` sends and waits for the answer; frames that come in between are kept for `next`."""

    def __init__(
        self, url: str, *, subprotocols: Sequence[str] = ("baton.v1.json",), query: str = "", **options: Any
    ) -> None:
        self._stack = ExitStack()
        self.socket: ClientConnection = self._stack.enter_context(
            connect(
                f"{url.replace('http', 'ws', 1)}/ws{query}",
                subprotocols=[Subprotocol(name) for name in subprotocols] or None,
                max_size=MOST_BYTES, compression=None, ping_interval=None, close_timeout=1, **options,
            )
        )  # fmt: skip
        self.success: Frame = {}  # what AUTH_SUCCESS said
        self.session_id = ""
        self._numbers = itertools.count(1)
        self.kept: list[Frame] = []

    def auth(self, token: str, device_id: str, *, session_id: str | None = None, **payload: Any) -> Frame:
        """AUTH; the answer, be it a success or a failure."""
        envelope = {} if session_id is None else {"session_id": session_id}
        return self.call(7, {"token": token, "device_id": device_id, **payload}, **envelope)

    def call(self, type_: int, payload: Any = None, **envelope: Any) -> Frame:
        """Send a frame and wait for what answers it."""
        correlation_id = f"c-{next(self._numbers)}"
        self.send(type_, payload or {}, correlation_id=correlation_id, **envelope)
        return self.until(lambda frame: frame.get("correlation_id") == correlation_id)

    def set(self, key: str, value: Any, **more: Any) -> Frame:
        """STATE_UPDATE SET."""
        return self.call(5, {"key": key, "value": value, "operation": "SET", **more})

    def send(self, type_: int, payload: Any, **envelope: Any) -> None:
        """Send a frame and wait for nothing."""
        self.raw(json.dumps({"type": type_, "payload": payload, **envelope}))

    def raw(self, data: str | bytes) -> None:
        """Send any message."""
        self.socket.send(data)

    def next(self, within_s: float = PATIENCE_S) -> Frame:
        """The next frame. Raises TimeoutError, ConnectionClosed."""
        return self.kept.pop(0) if self.kept else json.loads(self.socket.recv(within_s))

    def next_of(self, type_: int, within_s: float = PATIENCE_S) -> Frame:
        """The next frame of a type; others stay for later."""
        return self.until(lambda frame: frame["type"] == type_, within_s)

    def until(self, wanted: Any, within_s: float = PATIENCE_S) -> Frame:
        """The first frame that is wanted; others stay for later."""
        for index, frame in enumerate(self.kept):
            if wanted(frame):
                return self.kept.pop(index)
        while not wanted(frame := json.loads(self.socket.recv(within_s))):
            self.kept.append(frame)
        return frame

    def quiet(self, for_s: float = 0.3) -> list[Frame]:
        """Whatever comes within a while, and has come before."""
        frames, self.kept = self.kept, []
        try:
            while True:
                frames.append(json.loads(self.socket.recv(for_s)))
        except TimeoutError:
            return frames

    def close_code(self, within_s: float = PATIENCE_S) -> int:
        """Read until the server closes; its code."""
        try:
            while True:
                self.kept.append(json.loads(self.socket.recv(within_s)))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006

    def drop(self) -> None:
        """Break the connection without a word."""
        with suppress(OSError):
            self.socket.socket.shutdown(2)
        self._stack.close()

    def close(self, code: int = 1000) -> None:
        """Say good-bye."""
        self.socket.close(code)
        self._stack.close()

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()
