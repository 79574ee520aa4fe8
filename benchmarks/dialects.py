"""What a client of Baton and one of Socket.IO say, for the one generator that drives both (socketload.py)."""

import json


class Baton:
    """`/ws` in JSON."""

    path, subprotocol = "/ws", "baton.v1.json"
    heartbeat = '{"type":1,"payload":{}}'

    def __init__(self, kind: str) -> None:
        self._update = '{"type":5,"payload":{"key":"k%d","value":{"t":%.6f,"note":"a short note of forty characters"}}}'
        if kind == "broadcast":
            self._update = '{"type":13,"payload":{"message":"k%d","data":{"t":%.6f,"note":"a note of forty"}}}'
        self._told = '"type":5,' if kind == "update" else '"type":13,'

    def hello(self, session: int, device: int, token: str) -> list[str]:
        """What a client says first."""
        return [json.dumps({"type": 7, "payload": {"token": token, "device_id": f"d{device}"}})]

    def answer(self, session: int, text: str) -> list[str] | None:
        """What it says next; None when it has joined."""
        if '"type":9,' in text[:12]:
            raise RuntimeError(text)
        return None if '"type":8,' in text[:12] else []

    def update(self, number: int, due: float) -> str:
        """One update."""
        return self._update % (number % 8, due)

    def is_told(self, text: str) -> bool:
        """Whether this is an update that arrives."""
        return text.startswith(self._told, 1)

    def pong(self, text: str) -> str | None:
        """Nothing: its pings are WebSocket's own."""
        return None


class SocketIo:
    """Socket.IO 4 over a WebSocket."""

    path, subprotocol = "/socket.io/?EIO=4&transport=websocket", None
    heartbeat = '42["beat"]'

    def hello(self, session: int, device: int, token: str) -> list[str]:
        """It waits for the server."""
        return []

    def answer(self, session: int, text: str) -> list[str] | None:
        """Engine open, namespace, room; None when it has joined."""
        if text.startswith("0"):
            return ["40"]
        if text.startswith("40"):
            return [f'42["join","s{session}"]']
        return None if text.startswith('42["joined"') else []

    def update(self, number: int, due: float) -> str:
        """One update."""
        return f'42["update",{{"key":"k{number % 8}","t":{due:.6f},"note":"a short note of forty characters"}}]'

    def is_told(self, text: str) -> bool:
        """Whether this is an update that arrives."""
        return text.startswith('42["update"')

    def pong(self, text: str) -> str | None:
        """The answer to engine.io's own ping."""
        return "3" if text == "2" else None
