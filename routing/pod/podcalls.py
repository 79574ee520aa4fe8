"""Door to a pod over HTTP/1.1 (POD-45 to POD-47): hand it a message, ask whether it is ready.

One connection serves one call, spoken to directly: what counts is whether a request was sent at all before something
broke (POD-33), and a connection kept open could not tell. It may be opened a moment before there is what to send.
"""

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import httptools
from django.conf import settings

from routing.pod.chatstore import Claimed
from routing.pod.outcomes import MOST_ANSWER_BYTES, NotHanded, Outcome, Retry, judge
from sessions_app import jsonwire
from sessions_app.errors import MalformedJson
from sessions_app.state.state_errors import TooDeep

CONNECT_S = 2.0  # POD-46
READY_S = 2.0
_PIECE_BYTES = 65_536

Headers = dict[str, str]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a pod is reached, whose it is, and the secret it asks for if it has one."""

    url: str
    session_id: str
    user_id: str
    token: str | None = None


class Broken(Exception):
    """The exchange ended without a whole answer."""


class NotThere(Exception):
    """Nobody took the connection: nothing was sent."""


class Line:
    """A connection to a pod that is being opened for its next message. `close` it, or hand it to `send`."""

    def __init__(self, to: Address) -> None:
        self._opening = asyncio.create_task(_connect(urlsplit(to.url)))
        self._opening.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever sends is told

    async def opened(self) -> Connection | None:
        """The connection; None when the pod has closed it again. Raises NotThere."""
        reader, writer = connection = await self._opening
        if not reader.at_eof() and not writer.is_closing():
            return connection
        writer.close()
        return None

    def close(self) -> None:
        """There is nothing to send."""
        if not self._opening.cancel() and not self._opening.cancelled() and not self._opening.exception():
            self._opening.result()[1].close()


async def send(to: Address, message: Claimed, line: Line | None = None) -> Outcome:
    """Hand a message to its pod, over `line` if there is one, and read what becomes of it; never raises."""
    try:
        async with asyncio.timeout(settings.POD_CHAT_TIMEOUT_S):
            connection = await line.opened() if line is not None else None
            head, body = _headers(to, message), _body(to, message)
            answer = await _exchange("POST", f"{to.url}/chat", head, body, connection)
    except NotThere:
        return NotHanded()
    except TimeoutError:
        return Retry("The pod did not answer in time.")
    except (Broken, OSError):
        return Retry("The connection to the pod broke.")
    return judge(answer.status, answer.whole_body, retry_after=answer.headers.get("retry-after"))


async def is_ready(to: Address) -> bool:
    """Whether the pod of this very session says that it can take a chat; a stranger on its port is none."""
    try:
        async with asyncio.timeout(READY_S):
            answer = await _exchange("GET", f"{to.url}/ready", {})
        members = jsonwire.loads(answer.whole_body or b"")
    except (NotThere, Broken, OSError, TimeoutError, MalformedJson, TooDeep):
        return False
    return answer.status == 200 and isinstance(members, dict) and members.get("session_id") == to.session_id


class _Answer:
    """What httptools reads: the status, the headers, as much of the body as may count."""

    def __init__(self) -> None:
        self.status, self.headers, self.body = 0, Headers(), bytearray()
        self.is_complete = False
        self._parser = httptools.HttpResponseParser(self)

    @property
    def whole_body(self) -> bytes | None:
        """The body; None when it is longer than an answer may be."""
        return bytes(self.body) if len(self.body) <= MOST_ANSWER_BYTES else None

    def feed(self, data: bytes) -> bool:
        """Read on; whether that was enough. Raises Broken."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self.is_complete:  # what follows a whole answer is of no interest
                raise Broken(str(error)) from error
        return self.is_complete or len(self.body) > MOST_ANSWER_BYTES

    def end(self) -> None:
        """The connection was closed. Raises Broken, unless that is how the body was to end."""
        unbounded = self.status and not {"content-length", "transfer-encoding"} & self.headers.keys()
        if not self.is_complete and not unbounded:
            raise Broken("the answer is not whole")

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools' hook."""
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """httptools' hook."""
        self.status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        """httptools' hook."""
        self.body += data

    def on_message_complete(self) -> None:
        """httptools' hook; what says `100 Continue` is not the answer yet."""
        self.is_complete = self.status >= 200


async def _exchange(
    method: str, url: str, headers: Headers, body: bytes = b"", connection: Connection | None = None
) -> _Answer:
    """One request and its answer. Raises NotThere, Broken, OSError."""
    parts = urlsplit(url)
    reader, writer = connection or await _connect(parts)
    try:
        lines = {"Host": parts.netloc, "Connection": "close", "Content-Length": str(len(body)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"{method} {parts.path or '/'} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        await writer.drain()
        answer = _Answer()
        while data := await reader.read(_PIECE_BYTES):
            if answer.feed(data):
                return answer
        answer.end()
        return answer
    finally:
        writer.close()


async def _connect(parts: SplitResult) -> Connection:
    secure = ssl.create_default_context() if parts.scheme == "https" else None
    port = parts.port or (443 if secure else 80)
    try:
        async with asyncio.timeout(CONNECT_S):
            return await asyncio.open_connection(parts.hostname, port, ssl=secure)
    except (OSError, TimeoutError) as error:
        raise NotThere from error


def _headers(to: Address, message: Claimed) -> Headers:
    return {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "X-Session-Id": to.session_id,
        "X-User-Id": to.user_id,
        "X-Message-Id": str(message.message_id),
        "X-Attempt": str(message.attempts),
        **({"X-Pod-Token": to.token} if to.token else {}),
        **({"X-Request-ID": message.request_id} if message.request_id else {}),
    }


def _body(to: Address, message: Claimed) -> bytes:
    members = {
        "message": message.text,
        "message_id": str(message.message_id),
        "session_id": to.session_id,
        "user_id": to.user_id,
        "seq": message.seq,
        "attempt": message.attempts,
    }
    return jsonwire.dumps(members)
