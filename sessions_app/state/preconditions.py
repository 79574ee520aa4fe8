"""If-Match and If-None-Match (STA-23, STA-26). Pure."""

import re
from dataclasses import dataclass
from typing import Final

from sessions_app.errors import FieldInvalid
from sessions_app.kinds import FieldError, FieldErrors, PreconditionFailed

ANY: Final = "*"
_TAG = re.compile(r'\s*(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|\Z)')

Tags = frozenset[str]  # quoted; {"*"} for any


@dataclass(frozen=True, slots=True)
class Precondition:
    """What a request demands of the current state; None where it demands nothing."""

    if_match: Tags | None = None
    if_none_match: Tags | None = None

    def check(self, current: str | None) -> None:
        """Raises PreconditionFailed unless the current ETag (None without a state) meets the demands."""
        if self.if_match is not None and not names(self.if_match, current):
            raise PreconditionFailed(f"the current state is {current or 'none'}")
        if self.if_none_match is not None and names(self.if_none_match, current):
            raise PreconditionFailed(f"the current state is {current}")


NONE: Final = Precondition()


def names(tags: Tags, current: str | None) -> bool:
    """Whether `tags` name the current ETag; `*` names any that exists."""
    return current is not None and (ANY in tags or current in tags)


def read(name: str, value: str | None) -> Tags | None:
    """The entity tags a header lists, a `W/` before them ignored. Raises FieldErrors."""
    if value is None:
        return None
    if value.strip() == ANY:
        return frozenset([ANY])
    tags, at = [], 0
    while at < len(value):
        if not (match := _TAG.match(value, at)):
            raise FieldErrors([FieldError(name, FieldInvalid.code, "is not a list of entity tags")])
        tags.append(match[1])
        at = match.end()
    return frozenset(tags)
