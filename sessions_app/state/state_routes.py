"""The state endpoints as raw ASGI routes, ahead of Django: the same requests, the same answers, a tenth of the way.

What a request means is read in state_requests.py and what it gets is printed in answers.py, as for the documented views
in state_views.py, which Django serves where these routes do not stand before it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl
from weakref import WeakKeyDictionary

import structlog
from channels.db import database_sync_to_async
from django.db import DatabaseError

from sessions_app import ids, jsonwire, snapshots
from sessions_app.access import auth, limits, revocations, tallies
from sessions_app.access.auth import Caller
from sessions_app.errors import BodyTooLarge, DatabaseUnavailable, Internal, SessionIdInvalid
from sessions_app.http import problems
from sessions_app.kinds import DomainError, UnsupportedMedia
from sessions_app.state import answers, committer, history, reader, state_requests
from sessions_app.state.operations import Operation
from sessions_app.state.state_requests import Call

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = dict[str, str]

PREFIX: Final = "/session/"
ROUTE: Final = "/session/<str:session_id>"  # as Django's log lines name it
MAX_BODY_BYTES: Final = 2_097_152  # STA-18
QUICK_BODY_BYTES: Final = 32_768  # a longer one takes milliseconds to read, which would hold up the event loop
LONG_AT_ONCE: Final = 8  # read and not yet answered: two megabytes of JSON can become fifty of objects
FIXED_WORDS: Final = frozenset({"create", "snapshot", "incremental"})  # POD-75: these are never ids
RATE: Final = limits.Rate("state", "RATE_STATE")
WRITES: Final[Mapping[str, Callable[[Call], Operation]]] = {
    "snapshot": state_requests.save_snapshot,
    "incremental": state_requests.update_state,
    "conflict/resolve": state_requests.resolve_conflict,
}

log = structlog.get_logger(__name__)


def ahead_of(otherwise: App) -> App:
    """Serve the routes of a state; hand everything else on."""

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        name = path.removeprefix(PREFIX)
        if name != path and (handler := _handler(scope["method"], name)):
            scope["route"] = path if name in WRITES else ROUTE
            await _serve(handler, scope, receive, send)
        else:
            await otherwise(scope, receive, send)

    return routed


Answered = tuple[int, bytes, Headers]
Handler = Callable[[Scope, Call], Awaitable[Answered]]


def _handler(method: str, name: str) -> Handler | None:
    if method == "POST" and name in WRITES:
        return _write
    return None if "/" in name or name in FIXED_WORDS else _BY_ID.get(method)


async def _serve(handler: Handler, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request, whatever befalls it; the checks in the order of STA-8."""
    rate_headers: Headers = {}
    try:
        call = await _call(scope, receive, rate_headers)
        status, body, headers = await handler(scope, call)
    except DomainError as error:
        status, body, headers = _problem(error)
    except DatabaseError as error:
        log.warning("request.refused", code=DatabaseUnavailable.code, error=str(error))
        status, body, headers = _problem(DatabaseUnavailable(retry_after=1))
    except Exception as error:  # a defect is answered in the problem format too; its stack is in the log
        log.error("request.failed", error=repr(error), exc_info=error)
        status, body, headers = _problem(Internal())
    headers |= rate_headers
    if status != 304:
        headers["Content-Length"] = str(len(body))
    encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _call(scope: Scope, receive: Receive, rate_headers: Headers) -> Call:
    headers = _headers_of(scope)
    caller = await _caller(headers)
    if usage := tallies.use(RATE, caller):
        rate_headers.update(usage.headers)
        usage.check()
    body = b"" if scope["method"] in ("GET", "HEAD") else await _body(headers, receive)
    if headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMedia
    return Call(caller, scope["method"], scope["path"], headers, body)


def _headers_of(scope: Scope) -> Headers:
    """The headers by name; what was sent in several lines counts as one list (RFC 9110, 5.3)."""
    headers: Headers = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def _caller(headers: Mapping[str, str]) -> Caller:
    if revocations.is_fresh():
        return auth.authenticate(headers)
    caller: Caller = await database_sync_to_async(auth.authenticate)(headers)  # reads the revocations anew
    return caller


async def _body(headers: Mapping[str, str], receive: Receive) -> bytes:
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"At most {MAX_BODY_BYTES} bytes are read.")
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"At most {MAX_BODY_BYTES} bytes are read.")
    return bytes(body)


async def _write(scope: Scope, call: Call) -> Answered:
    return await _done(WRITES[scope["path"][len(PREFIX) :]], call)


async def _patch(scope: Scope, call: Call) -> Answered:
    return await _done(state_requests.patch_state, call, scope["path"][len(PREFIX) :])


async def _done(read: Callable[..., Operation], call: Call, *named: str) -> Answered:
    """The answer to what the request, once it is `read`, asks for."""
    if len(call.body) <= QUICK_BODY_BYTES:
        return await _committed(read(call, *named))
    async with _long.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(LONG_AT_ONCE)):
        return await _committed(await asyncio.to_thread(read, call, *named))


async def _committed(operation: Operation) -> Answered:
    outcome = await committer.committed(operation)
    answer = answers.of(outcome)
    return answer.status, answer.body, _headers(answers.headers(answer, replayed=outcome.answer is not None))


async def _read(scope: Scope, call: Call) -> Answered:
    session_id = scope["path"][len(PREFIX) :]
    if not ids.is_session_id(session_id):
        raise SessionIdInvalid
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    version, held = state_requests.asked_version(query), state_requests.held_tags(call)
    snapshot = snapshots.visible(await reader.read(session_id), by=call.caller)
    if version is not None:
        snapshot = await database_sync_to_async(history.snapshot_at)(snapshot, version)
    answer = answers.to_reader(snapshot, held)
    return answer.status, answer.body, _headers(answers.headers(answer))


def _headers(headers: Headers) -> Headers:
    return {"Content-Type": state_requests.JSON, **headers}


def _problem(error: DomainError) -> Answered:
    headers = {"Content-Type": problems.MEDIA_TYPE, **problems.headers(error)}
    return error.status, jsonwire.dumps(problems.document(error)), headers


_BY_ID: Final[Mapping[str, Handler]] = {"GET": _read, "HEAD": _read, "PATCH": _patch}
_long: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
