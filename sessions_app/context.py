"""What the log lines and problem documents of one request have in common (OPS-51)."""

import re
import secrets
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")

_TAKEN_OVER = re.compile(r"[A-Za-z0-9._-]{1,64}\Z", re.ASCII)


def new_request_id(offered: str | None = None) -> str:
    """`offered` if it has a harmless form, else `req-` and 12 hex digits."""
    if offered is not None and _TAKEN_OVER.match(offered):
        return offered
    return f"req-{secrets.token_hex(6)}"
