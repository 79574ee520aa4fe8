"""routing/pod/pod_states.py against the table of POD section 3."""

from itertools import product

import pytest

from routing.pod.pod_states import State, is_possible, wakes

REASONS = (
    "wake_requested", "message_queued", "scaled_up", "pod_ready", "start_timeout", "start_failed", "pod_lost",
    "sleep_requested", "idle", "scaled_to_zero", "drained", "deleted", "expired", "session_ended",
)  # fmt: skip
ENDS = {"deleted", "expired", "session_ended"}
# The contract's table, written down a second time.
POSSIBLE = {
    ("created", "waking"): {"wake_requested", "message_queued"},
    ("sleeping", "waking"): {"wake_requested", "message_queued", "scaled_up"},
    ("failed", "waking"): {"wake_requested", "message_queued"},
    ("waking", "running"): {"pod_ready"},
    ("waking", "failed"): {"start_timeout", "start_failed"},
    ("running", "waking"): {"pod_lost"},
    ("running", "draining"): {"sleep_requested", "idle"},
    ("running", "sleeping"): {"scaled_to_zero"},
    ("draining", "running"): {"message_queued", "wake_requested"},
    ("draining", "sleeping"): {"drained"},
    ("created", "sleeping"): {"sleep_requested"},
    ("failed", "sleeping"): {"sleep_requested"},
    ("waking", "sleeping"): {"sleep_requested"},
    **{(state, "terminating"): ENDS for state in ("created", "waking", "running", "draining", "sleeping", "failed")},
    ("terminating", "terminated"): ENDS,
}


@pytest.mark.parametrize(("source", "target"), list(product(State, State)))
def test_only_the_changes_of_the_table_are_possible(source: State, target: State) -> None:
    """POD-32: other changes are impossible."""
    found = {reason for reason in REASONS if is_possible(source, target, reason)}
    assert found == POSSIBLE.get((source, target), set())


def test_wakes_names_the_states_a_message_wakes() -> None:
    """POD-20: any state but terminating; the others are awake or on their way."""
    assert {state for state in State if wakes(state)} == {State.CREATED, State.SLEEPING, State.FAILED}
