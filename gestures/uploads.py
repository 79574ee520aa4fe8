"""`POST /camera_feed_worker/captures` (GES section 3): a raw ASGI route, so that nothing spools frames (GES-24)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from gestures import capture, errors, limits
from gestures.ingest import conductor
from gestures.ingest.body import Body, ClientLeft, Receive
from gestures.ingest.conductor import CAPTURE_RATE, Conductor
from gestures.machine import moves, rules
from gestures.models import FeatureRef
from gestures.serializers import CaptureOut
from sessions_app import jsonwire
from sessions_app.access import auth
from sessions_app.access.limits import use
from sessions_app.http import problems
from sessions_app.kinds import DomainError
from sessions_app.sockets import handshake
from sessions_app.sockets.threads import cross

PATH = "/camera_feed_worker/captures"

Send = Callable[[Mapping[str, Any]], Awaitable[None]]

log = structlog.get_logger(__name__)


async def upload(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """One request, which carries one capture."""
    headers = handshake.headers_of(scope)
    body, answer = Body(receive, headers), Answer()
    try:
        await _serve(headers, body, answer)
    except ClientLeft:
        pass
    except DomainError as refusal:
        answer.problem(refusal)
    except Exception as error:  # a defect is answered in the problem format too; its stack is in the log
        log.error("upload.failed", exc_info=error)
        answer.problem(errors.InternalError())
    finally:
        await _conclude(body, answer, send)


async def _conclude(body: Body, answer: "Answer", send: Send) -> None:
    if not body.is_whole:
        await body.swallow()
    await answer.send(send, closing=not body.is_whole)
    body.close()


async def _serve(headers: Mapping[str, str], body: Body, answer: "Answer") -> None:
    began = conductor.now()
    caller = await cross(auth.authenticate, headers)
    if usage := await cross(use, CAPTURE_RATE, caller):
        answer.headers.update(usage.headers)
        usage.check()
    try:
        async with asyncio.timeout_at(began + limits.UPLOAD_S):
            declared = await body.meta()
    except TimeoutError as error:
        raise errors.DrainTimeout("the upload took over 180 s") from error
    rules.foresee(declared.opened, declared.metas, declared.close)
    start, actions = capture.uploading(declared.opened, began)
    events = body.events(declared)
    await Conductor(start, answer.tell, caller).run(events.__anext__, *actions)


class Answer:
    """The one answer, made when the capture ends and sent when the client can hear it."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self._status: int | None = None
        self._body = b""

    def problem(self, error: DomainError) -> None:
        """The problem document of `error` (GES-25)."""
        self._set(error.status, problems.document(error), problems.MEDIA_TYPE, problems.headers(error))

    def created(self, ref: FeatureRef) -> None:
        """201 with the capture object (GES-23)."""
        where = {"Location": f"{PATH}/{ref.record_id}"}
        self._set(201, CaptureOut(ref).data, "application/json", where)

    async def tell(self, conductor: Conductor, action: moves.Action) -> None:
        """What the capture has to tell its client; only how it ended is of interest here."""
        match action:
            case moves.Complete():
                assert conductor.stored is not None
                self.created(conductor.stored)
            case moves.Abort():
                self.problem(action.error)

    async def send(self, send: Send, *, closing: bool) -> None:
        """Send it, if there is one; `closing` when bytes of the request may still be on their way."""
        if self._status is None:
            return
        if closing:
            self.headers["Connection"] = "close"
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})

    def _set(self, status: int, document: Any, content_type: str, headers: Mapping[str, str]) -> None:
        self._status, self._body = status, jsonwire.dumps(document)
        self.headers.update({"Content-Type": content_type, "Content-Length": str(len(self._body)), **headers})
