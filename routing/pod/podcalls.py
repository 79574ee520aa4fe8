"""Door to a pod over HTTP (POD-45 to POD-47): hand it a message, ask whether it is ready."""

import asyncio
from dataclasses import dataclass

import httpx
from django.conf import settings

from routing.models import ChatMessage
from routing.pod.outcomes import MOST_ANSWER_BYTES, NotHanded, Outcome, Retry, judge
from sessions_app import jsonwire

Client = httpx.AsyncClient

CONNECT_S = 2.0  # POD-46
READY_S = 2.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a pod is reached, whose it is, and the secret it asks for if it has one."""

    url: str
    session_id: str
    user_id: str
    token: str | None = None


def client() -> Client:
    """A client for all pods of a worker.

    A connection serves one call: a kept one that the pod closes in the same moment would look like a failed attempt.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.AsyncClient(limits=limits, trust_env=False, follow_redirects=False)


async def send(over: Client, to: Address, message: ChatMessage) -> Outcome:
    """Hand a message to its pod and read what becomes of it; never raises."""
    try:
        async with asyncio.timeout(settings.POD_CHAT_TIMEOUT_S):
            return await _exchange(over, to, message)
    except (httpx.ConnectError, httpx.ConnectTimeout):
        return NotHanded()
    except TimeoutError:
        return Retry("The pod did not answer in time.")
    except httpx.HTTPError:
        return Retry("The connection to the pod broke.")


async def is_ready(over: Client, to: Address) -> bool:
    """Whether the pod of this very session says that it can take a chat; a stranger on its port is none."""
    try:
        answer = await over.get(f"{to.url}/ready", timeout=READY_S)
        members = answer.json()
    except (httpx.HTTPError, ValueError):
        return False
    return answer.status_code == 200 and isinstance(members, dict) and members.get("session_id") == to.session_id


async def _exchange(over: Client, to: Address, message: ChatMessage) -> Outcome:
    timeout = httpx.Timeout(settings.POD_CHAT_TIMEOUT_S, connect=CONNECT_S)
    request = over.build_request(
        "POST", f"{to.url}/chat", content=_body(to, message), headers=_headers(to, message), timeout=timeout
    )
    answer = await over.send(request, stream=True)
    try:
        return judge(answer.status_code, await _bounded(answer), retry_after=answer.headers.get("Retry-After"))
    finally:
        await answer.aclose()


async def _bounded(answer: httpx.Response) -> bytes | None:
    """The body, or None as soon as it is longer than an answer may be."""
    body = bytearray()
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > MOST_ANSWER_BYTES:
            return None
    return bytes(body)


def _headers(to: Address, message: ChatMessage) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "X-Session-Id": to.session_id,
        "X-User-Id": to.user_id,
        "X-Message-Id": str(message.message_id),
        "X-Attempt": str(message.attempts),
        **({"X-Pod-Token": to.token} if to.token else {}),
        **({"X-Request-ID": message.request_id} if message.request_id else {}),
    }


def _body(to: Address, message: ChatMessage) -> bytes:
    members = {
        "message": message.text,
        "message_id": str(message.message_id),
        "session_id": to.session_id,
        "user_id": to.user_id,
        "seq": message.seq,
        "attempt": message.attempts,
    }
    return jsonwire.dumps(members)
