"""How a DomainError looks over HTTP (CON-4): one rendering for Django views and raw routes."""

from dataclasses import asdict
from typing import Any

from sessions_app import context
from sessions_app.kinds import DomainError, FieldErrors, Unauthenticated

MEDIA_TYPE = "application/problem+json"
CACHING = "private, no-cache"  # STA-13; of its own accord a cache would keep a 404 or a 410
_AS_HEADERS = {"allow": "Allow", "accept_patch": "Accept-Patch"}


def document(error: DomainError) -> dict[str, Any]:
    """The members of the problem document."""
    members = {name: value for name, value in error.members.items() if name not in _AS_HEADERS}
    if isinstance(error, FieldErrors):
        members["errors"] = [asdict(one) for one in error]
    return {
        "type": f"/problems/{error.code.lower().replace('_', '-')}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": context.request_id.get(),
        **members,
    }


def headers(error: DomainError) -> dict[str, str]:
    """The headers that go with it."""
    found = {"Cache-Control": CACHING}
    if error.retry_after is not None:
        found["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthenticated):
        found["WWW-Authenticate"] = "Bearer"
    found.update({header: error.members[name] for name, header in _AS_HEADERS.items() if name in error.members})
    return found
