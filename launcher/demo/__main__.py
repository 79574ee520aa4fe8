"""`python -m launcher.demo URL [--json]`: one line per step, the first failure ends it (OPS-11)."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable

import httpx
from websockets.exceptions import WebSocketException

from launcher.demo import account
from launcher.demo.steps import STEPS
from launcher.demo.story import Story, Unexpected

WHOLE_S = 90.0  # OPS-11


async def play(web: str, name: str, password: str, *, as_json: bool) -> int:
    """Play every step in order; 0, or 1 at the first that fails."""
    async with httpx.AsyncClient(base_url=web, timeout=30) as http:
        story = Story(web, http, name, password)
        try:
            deadline = time.monotonic() + WHOLE_S
            for number, (what, step) in enumerate(STEPS, 1):
                began = time.monotonic()
                detail = await _attempt(step(story), seconds=deadline - began)
                milliseconds = round((time.monotonic() - began) * 1000)
                _tell(number, what, milliseconds, detail, as_json=as_json)
                if detail is not None:
                    return 1
        finally:
            await story.leave()
    print(json.dumps({"steps": len(STEPS), "ok": True}) if as_json else f"demo: {len(STEPS)} steps ok")
    return 0


async def _attempt(step: Awaitable[None], *, seconds: float) -> str | None:
    """None if the step went as promised, else what was wrong in one line."""
    try:
        async with asyncio.timeout(seconds):
            await step
    except TimeoutError:
        return "no answer in time"
    except (Unexpected, httpx.HTTPError, WebSocketException, OSError, LookupError, ValueError) as error:
        return " ".join(f"{type(error).__name__}: {error}".split())
    return None


def _tell(number: int, what: str, milliseconds: int, detail: str | None, *, as_json: bool) -> None:
    if as_json:
        told = {"step": number, "what": what, "ok": detail is None, "ms": milliseconds}
        print(json.dumps(told if detail is None else {**told, "detail": detail}), flush=True)
    elif detail is None:
        print(f"ok {number} {what} {milliseconds} ms", flush=True)
    else:
        print(f"FAIL {number} {what} {milliseconds} ms: {detail}", flush=True)


if __name__ == "__main__":
    with account.opened() as (name, password):
        code = asyncio.run(play(sys.argv[1], name, password, as_json="--json" in sys.argv[2:]))
    sys.exit(code)
