"""A client of `/ws` that holds the shared state as DEV-45 and DEV-50 tell clients to."""

import asyncio
import hashlib
import itertools
import json
from collections.abc import Callable
from typing import Any

import rfc8785
from websockets.asyncio.client import ClientConnection, connect

SNAPSHOT_REQUEST, SNAPSHOT, STATE_UPDATE, ERROR, AUTH, AUTH_SUCCESS = 3, 4, 5, 6, 7, 8
DEVICE_JOINED, DEVICE_LIST, BROADCAST = 10, 12, 13
PATIENCE_S = 15.0

Frame = dict[str, Any]


class Device:
    """One connected device; `state` and `seq` follow every frame it reads."""

    def __init__(self, socket: ClientConnection, device_id: str) -> None:
        self.device_id = device_id
        self.state: dict[str, Any] = {}
        self.seq = 0
        self._socket = socket
        self._numbers = itertools.count(1)
        self._seen: list[Frame] = []

    @classmethod
    async def join(cls, web: str, *, token: str, session_id: str, device_id: str, device_type: str) -> "Device":
        """Connect and sign in; the answer must be AUTH_SUCCESS."""
        url = web.replace("http", "ws", 1) + "/ws"
        device = cls(await connect(url, subprotocols=["baton.v1.json"], max_size=2**20), device_id)  # type: ignore[list-item]
        who = {"token": token, "device_id": device_id, "device_type": device_type}
        answer = await device.ask(AUTH, who, session_id=session_id)
        if answer["type"] != AUTH_SUCCESS:
            raise LookupError(f"AUTH was answered {answer['payload']}")
        return device

    async def ask(self, kind: int, payload: Frame, **envelope: Any) -> Frame:
        """Send a frame and return its direct answer (DEV-9)."""
        correlation_id = f"{self.device_id}-{next(self._numbers)}"
        await self._socket.send(
            json.dumps({"type": kind, "payload": payload, "correlation_id": correlation_id, **envelope})
        )
        return await self.wait_for(lambda frame: frame.get("correlation_id") == correlation_id)

    async def set(self, key: str, value: Any) -> Frame:
        """Write one key and return the acknowledgement, which is sent after the commit (DEV-42)."""
        return await self.ask(STATE_UPDATE, {"key": key, "value": value, "operation": "SET"})

    async def wait_for(self, wanted: Callable[[Frame], bool]) -> Frame:
        """The first frame, already read or to come, that is wanted."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for frame in self._seen:
                    if wanted(frame):
                        self._seen.remove(frame)
                        return frame
                self._read(json.loads(await self._socket.recv()))

    async def catch_up(self, seq: int) -> None:
        """Read until the state is at least that version."""
        async with asyncio.timeout(PATIENCE_S):
            while self.seq < seq:
                self._read(json.loads(await self._socket.recv()))

    @property
    def checksum(self) -> str:
        """SHA-256 of the state's RFC 8785 form, computed here (STA-16)."""
        return hashlib.sha256(rfc8785.dumps(self.state)).hexdigest()

    async def leave(self) -> None:
        """Close the socket."""
        await self._socket.close()

    def _read(self, frame: Frame) -> None:
        payload = frame["payload"]
        if frame["type"] == STATE_UPDATE and payload["seq"] == self.seq + 1:
            self.state |= payload["changes"]
            for key in payload["deleted_keys"]:
                self.state.pop(key, None)
            self.seq = payload["seq"]
        self._seen.append(frame)
