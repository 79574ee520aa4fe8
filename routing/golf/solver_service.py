"""The reference solver and planner as HTTP services (ADV-66, ADV-81): plain ASGI, the same registry, no database."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from routing.errors import UnsupportedContractVersion
from routing.golf import datasets, reference_putts, reference_shots
from sessions_app import context, jsonwire
from sessions_app.errors import BodyTooLarge, Internal, MalformedJson, MethodNotAllowed, UnknownPath
from sessions_app.http import problems
from sessions_app.kinds import DomainError, Unauthenticated, UnsupportedMedia

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Solve = Callable[[Any], dict[str, Any]]

SOLVER, PLANNER = "putt_solver", "tee_to_green"
VERSION = "0.5.0"
_LONGEST_BODY_BYTES = 65_536
_WORK: dict[str, tuple[str, Solve]] = {
    SOLVER: ("/solve_putt", reference_putts.solve_putt),
    PLANNER: ("/plan_shot", reference_shots.plan_shot),
}


class Service:
    """One of the two services as an ASGI application; without a key it answers everybody."""

    def __init__(self, name: str, key: str = "") -> None:
        self.name, self._key = name, key.encode()
        self._path, self._solve = _WORK[name]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        context.request_id.set(context.new_request_id(headers.get("x-request-id")))
        try:
            status, members = 200, await self._answer(scope, headers, receive)
            extra: dict[str, str] = {}
        except DomainError as error:
            status, members, extra = error.status, problems.document(error), problems.headers(error)
        kind = "application/json" if status == 200 else problems.MEDIA_TYPE
        sent = {"content-type": kind, "x-request-id": context.request_id.get(), **extra}
        encoded = [(name.lower().encode(), value.encode()) for name, value in sent.items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        body = b"" if scope["method"] == "HEAD" else jsonwire.dumps(members)
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, headers: Mapping[str, str], receive: Receive) -> dict[str, Any]:
        if scope["path"] in ("/health", "/datasets"):
            if scope["method"] not in ("GET", "HEAD"):
                raise MethodNotAllowed(allow="GET, HEAD")
            return self._health() if scope["path"] == "/health" else _datasets()
        if scope["path"] != self._path:
            raise UnknownPath
        if scope["method"] != "POST":
            raise MethodNotAllowed(allow="POST")
        if self._key and not hmac.compare_digest(headers.get("x-api-key", "").encode(), self._key):
            raise Unauthenticated
        body = _parsed(await _read(receive), headers.get("content-type", ""))
        try:
            return await asyncio.to_thread(self._solve, body)
        except DomainError:
            raise
        except Exception as error:  # a defect must not take the service down with it
            raise Internal from error

    def _health(self) -> dict[str, Any]:
        registry = datasets.registry()
        return {"status": "healthy", "service": self.name, "dataset_count": len(registry.datasets)}


def _parsed(data: bytes, content_type: str) -> Any:
    """The body as JSON, its version checked before all else (ADV-66)."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMedia
    body = jsonwire.loads(data)
    if not isinstance(body, dict):
        raise MalformedJson
    if body.get("contract_version", VERSION) != VERSION:
        raise UnsupportedContractVersion(supported=[VERSION])
    return body


async def _read(receive: Receive) -> bytes:
    """The whole body. Raises BodyTooLarge."""
    data = bytearray()
    while True:
        message = await receive()
        data += message.get("body", b"")
        if len(data) > _LONGEST_BODY_BYTES:
            raise BodyTooLarge
        if not message.get("more_body", False):
            return bytes(data)


def _datasets() -> dict[str, Any]:
    names = ("dtm_id", "course_id", "hole_id", "green_id", "dataset_version")
    registry = datasets.registry()
    return {"datasets": [{name: getattr(one.manifest, name) for name in names} for one in registry.datasets.values()]}
