"""What the demo has learnt so far, and how a step says that something is not as the contract promises."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx

from launcher.demo.device import Device
from launcher.paths import ROOT
from launcher.processes import PYTHON


class Unexpected(Exception):
    """A step saw something else than the contract promises."""


@dataclass(slots=True)
class Story:
    """What the steps have learnt so far."""

    web: str
    http: httpx.AsyncClient
    user_id: str
    password: str
    token: str = ""
    session_id: str = ""
    devices: list[Device] = field(default_factory=list)
    captured: dict[str, Any] = field(default_factory=dict)

    async def leave(self) -> None:
        """Close what is still open."""
        for device in self.devices:
            await device.leave()


def expect(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The body of an answer with that status. Raises Unexpected."""
    if answer.status_code != status:
        raise Unexpected(f"{answer.request.url.path} answered {answer.status_code}: {answer.text}")
    body: dict[str, Any] = answer.json()
    return body


def same(seen: object, promised: object, what: str) -> None:
    """Raises Unexpected unless what was seen is what was promised."""
    if seen != promised:
        raise Unexpected(f"{what} is {seen}, not {promised}")


async def manage(*words: str) -> str:
    """Run a management command and return what it prints. Raises Unexpected if it fails."""
    process = await asyncio.create_subprocess_exec(
        PYTHON, "manage.py", *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    if process.returncode != 0:
        raise Unexpected(f"{words[0]} ended with {process.returncode}: {(out + err).decode().strip()}")
    return out.decode().strip()
