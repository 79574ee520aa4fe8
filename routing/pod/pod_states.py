"""The states of a pod as a table (POD section 3): every change there is, and the reasons it may have. Pure."""

from enum import StrEnum


class State(StrEnum):
    """Where a pod is on its way between asleep, awake and gone."""

    CREATED = "created"
    WAKING = "waking"
    RUNNING = "running"
    DRAINING = "draining"
    SLEEPING = "sleeping"
    FAILED = "failed"
    TERMINATING = "terminating"
    TERMINATED = "terminated"


ENDING = (State.TERMINATING, State.TERMINATED)
SERVING = (State.RUNNING, State.DRAINING)  # messages are delivered

_LIVE = (State.CREATED, State.WAKING, State.RUNNING, State.DRAINING, State.SLEEPING, State.FAILED)
_ENDS = frozenset({"deleted", "expired", "session_ended"})

# From, to, reasons: row by row the table of the contract.
TABLE: tuple[tuple[tuple[State, ...], State, frozenset[str]], ...] = (
    ((State.CREATED, State.SLEEPING, State.FAILED), State.WAKING, frozenset({"wake_requested", "message_queued"})),
    ((State.SLEEPING,), State.WAKING, frozenset({"scaled_up"})),
    ((State.WAKING,), State.RUNNING, frozenset({"pod_ready"})),
    ((State.WAKING,), State.FAILED, frozenset({"start_timeout", "start_failed"})),
    ((State.RUNNING,), State.WAKING, frozenset({"pod_lost"})),
    ((State.RUNNING,), State.DRAINING, frozenset({"sleep_requested", "idle"})),
    ((State.RUNNING,), State.SLEEPING, frozenset({"scaled_to_zero"})),
    ((State.DRAINING,), State.RUNNING, frozenset({"message_queued", "wake_requested"})),
    ((State.DRAINING,), State.SLEEPING, frozenset({"drained"})),
    ((State.CREATED, State.FAILED, State.WAKING), State.SLEEPING, frozenset({"sleep_requested"})),
    (_LIVE, State.TERMINATING, _ENDS),
    ((State.TERMINATING,), State.TERMINATED, _ENDS),
)

_REASONS: dict[tuple[State, State], frozenset[str]] = {}
for _sources, _target, _reasons in TABLE:
    for _source in _sources:
        _REASONS[_source, _target] = _REASONS.get((_source, _target), frozenset()) | _reasons


def is_possible(source: str, target: str, reason: str) -> bool:
    """Whether the table has this change for this reason."""
    return reason in _REASONS.get((State(source), State(target)), frozenset())


def wakes(state: str) -> bool:
    """Whether a wake or a message turns `state` into waking."""
    return is_possible(state, State.WAKING, "wake_requested")
