"""A plan in its wire form, as all ways to one make it (ADV-29)."""

from dataclasses import dataclass
from typing import Any

PUTT, TEE_TO_GREEN = "PUTT", "TEE_TO_GREEN"


@dataclass(frozen=True, slots=True)
class Plan:
    """`outcome` is `ok`, or the code that says why the plan is less than one."""

    plan_type: str
    members: dict[str, Any]
    warnings: tuple[str, ...] = ()
    next_actions: tuple[str, ...] = ()
    outcome: str = "ok"
