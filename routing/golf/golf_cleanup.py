"""What golf adds to `cleanup_sessions`: sessions of expired holes, their state, old advice (ADV-19)."""

import datetime as dt
from collections.abc import Iterator

from routing.golf.golf_models import AdviceGiven, HoleState
from routing.golf.holes import VIA
from sessions_app import cleanup, clock

ADVICE_KEPT_S = 14 * 86_400  # as long as the charts of the staff pages reach back (OPS-43)


def register() -> None:
    """Tell the spine; called once per process at start.

    Every accepted use of a hole renews its state and the session's activity at once, so the idle limit of sessions that
    `start` opened is the life of the state.
    """
    cleanup.LIMITS_BY_DOOR[VIA] = "HOLE_STATE_TTL_S"
    cleanup.register("golf", sweep)


def sweep(dry_run: bool) -> Iterator[str]:
    """Forget state whose time is up and advice that is old; one line for each kind that had any."""
    since = clock.now() - dt.timedelta(seconds=ADVICE_KEPT_S)
    for what, rows in (
        ("hole states", HoleState.objects.filter(expires_at__lte=clock.now())),
        ("advice", AdviceGiven.objects.filter(at__lte=since)),
    ):
        count = rows.count() if dry_run else rows.delete()[0]
        if count:
            yield f"{'would-remove' if dry_run else 'removed'} {count} {what}"
