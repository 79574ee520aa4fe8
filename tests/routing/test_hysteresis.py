"""One step of memory per sample (ADV-53 to ADV-62), with the worked sequence of ADV-65."""

import datetime as dt

import pytest

from routing import surface
from routing.geometry import LocalPoint
from routing.golf import hysteresis
from routing.golf.hysteresis import Damping, Memory, Sample
from routing.surface import Candidate, Margins, Source, Surface
from tests.routing import greens

ON, OFF, UNKNOWN = Surface.ON_GREEN, Surface.OFF_GREEN, Surface.UNKNOWN
START = dt.datetime(2026, 5, 4, 10, 0, tzinfo=dt.UTC)
CONFIDENCE = {ON: 0.97, OFF: 0.95, UNKNOWN: 0.60}


def walk(*states: Surface, at_s: tuple[float | None, ...] = (), x_m: tuple[float, ...] = (), **limits) -> list[Memory]:
    """The memory after each of a row of candidates."""
    memory, seen = Memory(), []
    for n, state in enumerate(states):
        seconds = at_s[n] if at_s else None
        at = None if seconds is None else START + dt.timedelta(seconds=seconds)
        sample = Sample(LocalPoint(x_m[n] if x_m else 0.0, 0.0), at)
        found = Candidate(state, CONFIDENCE[state], Source.OUTLINE, 0.5)
        memory = hysteresis.step(memory, found, sample, damping=Damping(**limits)).memory
        seen.append(memory)
    return seen


def said(memory: Memory) -> tuple[Surface, float, int]:
    return memory.reported, memory.reported_confidence, memory.streak


def codes(memory: Memory) -> list[str]:
    return [text.split(":")[0] for text in memory.warnings]


def test_step_follows_the_worked_sequence():
    """ADV-65: hole 3 at y = 8, version 0.5.0, N = 2/2."""
    memory, rows = Memory(), []
    for x_m in (10, 20, 18.8, 20, 30, 10, 18):
        ball = LocalPoint(x_m, 8)
        found = surface.candidate(greens.bowl(), ball, margins=Margins())
        memory = hysteresis.step(memory, found, Sample(ball), damping=Damping()).memory
        rows.append(said(memory))

    assert rows == [
        (ON, 0.97, 0),
        (ON, 0.95, 1),
        (ON, 0.60, 0),
        (ON, 0.95, 1),
        (OFF, 0.95, 0),
        (OFF, 0.95, 1),
        (ON, 0.97, 0),
    ]


def test_step_with_a_poor_fix_holds_the_worked_sequence_off():
    """ADV-65: accuracy 3 m in step 7 leaves OFF_GREEN held at 0.60."""
    memory = walk(OFF, ON, UNKNOWN)[-1]

    assert said(memory) == (OFF, 0.60, 0)
    assert codes(memory) == ["SURFACE_BAND"]


@pytest.mark.parametrize("first", [(), (UNKNOWN,)])
@pytest.mark.parametrize("state", [ON, OFF])
def test_step_adopts_the_first_decisive_candidate_at_once(first, state):
    """ADV-53: from nothing and from UNKNOWN alike."""
    assert said(walk(*first, state)[-1]) == (state, CONFIDENCE[state], 0)


def test_step_reports_unknown_while_nothing_is_decided():
    """ADV-53: none or UNKNOWN and an UNKNOWN candidate."""
    assert said(walk(UNKNOWN, UNKNOWN)[-1]) == (UNKNOWN, 0.60, 0)


def test_step_says_how_far_a_change_has_come():
    """ADV-53: SURFACE_HELD carries the candidate and n/N."""
    memory = walk(ON, OFF, commit_off_streak=3)[-1]

    assert memory.warnings == ("SURFACE_HELD: candidate OFF_GREEN 1/3",)


def test_step_commits_on_the_last_needed_candidate():
    """ADV-54: towards OFF three, towards ON one."""
    rows = walk(ON, OFF, OFF, OFF, ON, commit_off_streak=3, commit_on_streak=1)

    assert [memory.reported for memory in rows] == [ON, ON, ON, OFF, ON]


def test_step_names_what_it_committed():
    """ADV-74: only a change of the stable state to a decided one counts."""
    first = hysteresis.step(
        Memory(), Candidate(ON, 0.97, Source.MASK, 0.5), Sample(LocalPoint(0, 0)), damping=Damping()
    )
    again = hysteresis.step(
        first.memory, Candidate(ON, 0.9, Source.MASK, 0.5), Sample(LocalPoint(0, 0)), damping=Damping()
    )

    assert (first.committed, again.committed) == (ON, None)


@pytest.mark.parametrize("between", [UNKNOWN, ON])
def test_step_restarts_the_streak_after_any_other_candidate(between):
    """ADV-53: the streak counts consecutive opposite candidates only."""
    rows = walk(ON, OFF, between, OFF)

    assert said(rows[-1])[::2] == (ON, 1)


def test_step_keeps_the_stable_confidence_through_a_hold():
    """ADV-54: a hold reports the lower confidence and stores none."""
    memory = walk(ON, UNKNOWN)[-1]

    assert (memory.stable_confidence, memory.reported_confidence) == (0.97, 0.60)


@pytest.mark.parametrize(("gap_s", "reported"), [(30, OFF), (30.001, ON)])
def test_step_restarts_the_streak_after_a_gap(gap_s, reported):
    """ADV-60: after more than SURFACE_GAP_S this sample counts as the first."""
    assert walk(ON, OFF, OFF, at_s=(0, 1, 1 + gap_s))[-1].reported is reported


def test_step_ignores_gaps_where_a_timestamp_is_missing():
    """ADV-62: both samples need one."""
    assert walk(ON, OFF, OFF, at_s=(0, None, 500))[-1].reported is OFF


def test_step_needs_three_after_a_jump():
    """ADV-61: 100 m in one second; the higher count holds for the whole streak."""
    rows = walk(ON, OFF, OFF, OFF, at_s=(0, 1, 2, 3), x_m=(0, 100, 100, 100))

    assert [memory.reported for memory in rows] == [ON, ON, ON, OFF]
    assert codes(rows[1]) == ["SURFACE_HELD", "SURFACE_JUMP"]
    assert rows[1].needed == rows[2].needed == 3


def test_step_forgets_the_jump_with_its_streak():
    """ADV-61: needed belongs to this streak."""
    rows = walk(ON, OFF, ON, OFF, OFF, at_s=(0, 1, 60, 120, 121), x_m=(0, 100, 0, 0, 0))

    assert rows[-1].reported is OFF


def test_step_lets_a_jump_break_even_a_streak_of_one():
    """ADV-61: max(N, 3) also where N = 1 means no hysteresis."""
    assert walk(ON, OFF, at_s=(0, 1), x_m=(0, 100), commit_off_streak=1)[-1].reported is ON


def test_step_ignores_a_jump_that_changes_nothing():
    """ADV-61: only an opposite candidate is doubted."""
    assert codes(walk(ON, ON, at_s=(0, 1), x_m=(0, 100))[-1]) == []


def test_step_measures_no_speed_without_timestamps():
    """ADV-62."""
    assert walk(ON, OFF, OFF, x_m=(0, 100, 200))[-1].reported is OFF


@pytest.mark.parametrize(("seconds", "code"), [(1, None), (0, "DUPLICATE_SAMPLE"), (-1, "STALE_SAMPLE"), (None, None)])
def test_refusal_compares_with_the_last_timestamp(seconds, code):
    """ADV-57, ADV-58, ADV-62."""
    memory = walk(ON, at_s=(0,))[-1]
    at = None if seconds is None else START + dt.timedelta(seconds=seconds)

    found = hysteresis.refusal(memory, at)

    assert (found and found.split(":")[0]) == code


def test_refusal_looks_past_samples_without_a_timestamp():
    """Clarification of ADV-57: compared with the last sample that had one."""
    memory = walk(ON, ON, at_s=(10, None))[-1]

    assert hysteresis.refusal(memory, START) == hysteresis.STALE_SAMPLE


def test_refusal_without_any_timestamp_counts_every_sample():
    """ADV-62: arrival order."""
    assert hysteresis.refusal(walk(ON)[-1], START) is None
