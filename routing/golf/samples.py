"""Taking a ball location into a hole's state as a surface sample, once (ADV-53 to ADV-62). Nothing is stored here."""

import datetime as dt
from dataclasses import dataclass, replace

from django.conf import settings

from routing import geometry, surface
from routing.errors import RequestIdReused
from routing.geometry import Wgs84
from routing.golf import hysteresis
from routing.golf.datasets import Dataset
from routing.golf.hole_state import HoleState, Placed
from routing.golf.hysteresis import DUPLICATE_SAMPLE, Damping, Sample
from routing.surface import Margins, Surface
from sessions_app import clock
from sessions_app.errors import FieldInvalid
from sessions_app.kinds import FieldError, FieldErrors

_FARTHEST_AHEAD_S = 300  # ADV-59


@dataclass(frozen=True, slots=True)
class BallSample:
    """One ball location as it was sent; `digest` is of the whole body, for requests that come twice."""

    position: Wgs84
    accuracy_m: float | None = None
    at: dt.datetime | None = None
    request_id: str | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a sample: what is said of it, and the surface it committed."""

    warnings: tuple[str, ...] = ()
    committed: Surface | None = None


def check_time(sample: BallSample) -> None:
    """Raises FieldErrors for a timestamp that lies too far ahead of the server's clock."""
    if sample.at is not None and sample.at > clock.now() + dt.timedelta(seconds=_FARTHEST_AHEAD_S):
        raise FieldErrors([FieldError("timestamp_utc", FieldInvalid.code, "is too far in the future")])


def take(state: HoleState, dataset: Dataset, sample: BallSample) -> tuple[HoleState, Taken]:
    """The state after the sample, unchanged by a repeated or stale one. Raises RequestIdReused, TransformFailed."""
    if (refused := _refusal(state, sample)) is not None:
        return state, Taken((refused,))
    ball = geometry.to_local(sample.position, dataset.manifest.frame)
    found = surface.candidate(dataset.green, ball, margins=margins(), accuracy_m=sample.accuracy_m)
    stepped = hysteresis.step(state.memory, found, Sample(ball, sample.at), damping=damping())
    after = replace(state, ball=Placed(sample.position, sample.at or clock.now()), memory=stepped.memory)
    if sample.request_id is not None:
        after = after.remembering(sample.request_id, sample.digest)
    return after, Taken(committed=stepped.committed)


def margins() -> Margins:
    """The margins of the settings."""
    return Margins(settings.SURFACE_MARGIN_M, settings.UNKNOWN_MARGIN_M, settings.SURFACE_ACCURACY_MAX_M)


def damping() -> Damping:
    """The hysteresis of the settings."""
    return Damping(
        settings.SURFACE_COMMIT_ON_STREAK,
        settings.SURFACE_COMMIT_OFF_STREAK,
        settings.SURFACE_GAP_S,
        settings.SURFACE_MAX_SPEED_MPS,
    )


def _refusal(state: HoleState, sample: BallSample) -> str | None:
    """Why this sample does not count, or None. Raises RequestIdReused."""
    if sample.request_id is not None and (known := state.digest_of(sample.request_id)) is not None:
        if known != sample.digest:
            raise RequestIdReused
        return DUPLICATE_SAMPLE
    return hysteresis.refusal(state.memory, sample.at)
