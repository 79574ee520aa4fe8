"""What may come of handing a message to its pod (the table of POD-33). Pure."""

import json
from dataclasses import dataclass
from typing import NoReturn

MOST_ANSWER_BYTES = 262_144
MOST_RETRY_AFTER_S = 60
RETRIED = frozenset({401, 408, 425, 429})


@dataclass(frozen=True, slots=True)
class Answered:
    """The pod's JSON object, to the letter."""

    response: str


@dataclass(frozen=True, slots=True)
class Dead:
    """Not to be tried again."""

    code: str
    detail: str
    pod_status: int | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """To be tried again, after `retry_after_s` if the pod named a time."""

    detail: str
    pod_status: int | None = None
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class NotHanded:
    """The pod was not there: no attempt at all."""


Outcome = Answered | Dead | Retry | NotHanded


def judge(status: int, body: bytes | None, *, retry_after: str | None = None) -> Outcome:
    """What an answer means; `body` is None when it is longer than MOST_ANSWER_BYTES."""
    if status == 200:
        return _read(body)
    if status in RETRIED or status >= 500:
        return Retry(f"The pod answered {status}.", status, _seconds(retry_after))
    if 400 <= status < 500:
        return Dead("POD_REJECTED", f"The pod answered {status}.", status)
    return Dead("POD_BAD_ANSWER", f"The pod answered {status}.", status)


def _read(body: bytes | None) -> Outcome:
    if body is None or len(body) > MOST_ANSWER_BYTES:
        return Dead("POD_BAD_ANSWER", f"The pod's answer is longer than {MOST_ANSWER_BYTES} bytes.", 200)
    try:
        text = body.decode("utf-8").strip(" \t\r\n")
        value = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return Dead("POD_BAD_ANSWER", "The pod's answer is not JSON.", 200)
    if not isinstance(value, dict):
        return Dead("POD_BAD_ANSWER", "The pod's answer is not a JSON object.", 200)
    return Answered(text)


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _seconds(retry_after: str | None) -> int | None:
    text = (retry_after or "").strip()
    return min(int(text), MOST_RETRY_AFTER_S) if text.isascii() and text.isdigit() else None
