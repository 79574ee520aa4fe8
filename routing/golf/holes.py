"""Playing a hole in a session: start, set the ball, set the cup, read, end (ADV-12 to ADV-20).

Ball and cup are no events of the session's log: only the boundaries of the session are recorded.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace

from django.conf import settings
from django.db import IntegrityError, transaction

from routing import geometry
from routing.errors import HoleAlreadyStarted, SessionExpired
from routing.geometry import Wgs84
from routing.golf import datasets, golf_metrics, hole_rows, hole_state, hole_store, samples
from routing.golf.datasets import Dataset
from routing.golf.golf_models import Hole
from routing.golf.hole_rows import Standing
from routing.golf.hole_state import HoleState, Placed
from routing.golf.hole_stores.contract import Store
from routing.golf.manifest import Stimp
from routing.golf.samples import BallSample, Taken
from sessions_app import clock, ids, sessions
from sessions_app.access.auth import Caller
from sessions_app.errors import FieldMissing, SessionAlreadyClosed, SessionNotFound
from sessions_app.kinds import FieldError, FieldErrors
from sessions_app.models import Session

VIA = "golf"  # opened_via of a session that `start` opened
GUEST = "guest"  # whoever plays while authentication is off (ADV-14)
CUP_OUTSIDE_GREEN = "CUP_OUTSIDE_GREEN: the cup lies outside the green's extents"
_STARTING_S = 10  # a hole this young may not be in the store yet


@dataclass(frozen=True, slots=True)
class Playing:
    """How a hole stands after a call, and what that call has to say besides."""

    state: HoleState
    dataset: Dataset
    warnings: tuple[str, ...] = ()


def start(
    *,
    course_id: str,
    hole_id: int,
    by: Caller,
    user_id: str | None = None,
    session_id: str | None = None,
    ball: Wgs84 | None = None,
    cup: Wgs84 | None = None,
    stimp: Stimp | None = None,
    competition_mode: bool | None = None,
) -> Playing:
    """Open a session for this hole, or attach the hole to `session_id`; a ball is the first sample.

    Raises UserNotAllowed, SessionNotFound, DatasetNotFound, DatasetInvalid, TransformFailed, HoleAlreadyStarted,
    SessionAlreadyClosed, RegistryUnavailable, StoreUnavailable, RecorderUnavailable.
    """
    owner = _owner(user_id, by)
    dataset = datasets.registry().hole(course_id, hole_id)
    competition = settings.COMPETITION_MODE_DEFAULT if competition_mode is None else competition_mode
    state = HoleState(session_id or ids.new_session_id(), course_id, hole_id, competition, stimp=stimp)
    said = Taken(_cup_warnings(dataset, cup))
    if cup is not None:
        state = replace(state, cup=Placed(cup, clock.now()))
    if ball is not None:
        state, taken = samples.take(state, dataset, BallSample(ball))
        said = replace(said, committed=taken.committed)
    store = hole_store.current()
    lapsed = _lapsed(state.session_id, store)  # a store that is away is noticed before anything is written
    with transaction.atomic():
        if session_id is None:
            session = sessions.open_implicitly(user_id=owner, by=by, via=VIA, session_id=state.session_id)
        else:
            session = _named(session_id, owner, must_own=user_id is not None, by=by)
        _attach(session, state, dataset, lapsed)
    store.put(state)
    return _playing(state, dataset, said)


def set_ball(session_id: str, *, sample: BallSample, by: Caller) -> Playing:
    """Take a ball location as a surface sample, once, whoever sends it twice.

    Raises SessionNotFound, SessionAlreadyClosed, SessionExpired, RequestIdReused, TransformFailed, FieldErrors for a
    timestamp in the future, SessionConflict, StoreUnavailable.
    """
    samples.check_time(sample)
    dataset = in_play(session_id, by=by)
    return _change(session_id, dataset, lambda state: samples.take(state, dataset, sample))


def set_cup(session_id: str, *, cup: Wgs84, by: Caller) -> Playing:
    """Move the cup; surface, streak and ball stay (ADV-17).

    Raises SessionNotFound, SessionAlreadyClosed, SessionExpired, TransformFailed, SessionConflict, StoreUnavailable.
    """
    dataset = in_play(session_id, by=by)
    said = Taken(_cup_warnings(dataset, cup))
    placed = Placed(cup, clock.now())
    return _change(session_id, dataset, lambda state: (replace(state, cup=placed), said))


def read(session_id: str, *, by: Caller) -> Playing:
    """How the hole stands; nothing is touched, the time it lives neither (ADV-19).

    Raises SessionNotFound, SessionAlreadyClosed, SessionExpired, StoreUnavailable.
    """
    standing, dataset = _standing(session_id, by)
    store = hole_store.current()
    if store.backend == "db":  # whose document came with the other rows
        state = hole_state.from_document(standing.document) if standing.document else None
    else:
        state = store.read(session_id)
    if state is None:
        raise SessionExpired
    return Playing(state, dataset)


def end(session_id: str, *, by: Caller) -> bool:
    """End the hole, and the session too when `start` opened it; tells whether it did (ADV-18).

    Raises SessionNotFound, SessionAlreadyClosed, SessionExpired, RecorderUnavailable, StoreUnavailable.
    """
    read(session_id, by=by)
    with transaction.atomic():
        session = Session.objects.lock(session_id)
        ended = Hole.objects.filter(session=session, ended_at=None).update(ended_at=clock.now())
        if not ended or not session.is_active:
            raise SessionAlreadyClosed
        closes = session.opened_via == VIA
        if closes:
            performer = sessions.SYSTEM if by.is_service else by.user_id
            reason = Session.EndReason.REQUESTED
            sessions.close(session, performer_id=performer, closed_by=by.name, reason=reason)
        else:
            session.touch()
    hole_store.current().drop(session_id)
    return closes


def in_play(session_id: str, *, by: Caller) -> Dataset:
    """The green of the hole this session plays; whether its time is up only the store knows.

    Raises SessionNotFound, SessionAlreadyClosed, SessionExpired, DatasetInvalid, DatasetNotFound, RegistryUnavailable.
    """
    return _standing(session_id, by)[1]


def _standing(session_id: str, by: Caller) -> tuple[Standing, Dataset]:
    """The rows of a hole that is in play, and its green."""
    hole = hole_rows.standing(session_id)
    if hole is None or not by.may_act_for(hole.user_id):
        raise SessionNotFound
    if hole.end_reason == Session.EndReason.TIMEOUT and not hole.has_ended:
        raise SessionExpired
    if not hole.is_active or hole.has_ended:
        raise SessionAlreadyClosed
    return hole, datasets.registry().hole(hole.course_id, hole.hole_id)


def _owner(user_id: str | None, by: Caller) -> str:
    """Whose session it will be (ADV-14). Raises UserNotAllowed, FieldErrors."""
    if user_id is not None:
        by.must_act_for(user_id)
        return user_id
    if by.is_anonymous:
        return GUEST
    if not by.user_id:
        raise FieldErrors([FieldError("user_id", FieldMissing.code, "a service names the person it acts for")])
    return by.user_id


def _lapsed(session_id: str, store: Store) -> int | None:
    """The row of an open hole the store holds nothing of any more: it makes room for the next one."""
    hole = Hole.objects.filter(session_id=session_id, ended_at=None).first()
    is_held = store.read(session_id) is not None
    if hole is None or is_held or clock.now() - hole.started_at < dt.timedelta(seconds=_STARTING_S):
        return None
    return hole.pk


def _named(session_id: str, owner: str, *, must_own: bool, by: Caller) -> Session:
    """The active session a hole is attached to, locked; an unknown UUID is opened under that id (ADV-13)."""
    if ids.is_canonical_uuid(session_id) and not Session.objects.filter(session_id=session_id).exists():
        try:
            return sessions.open_implicitly(user_id=owner, by=by, via=VIA, session_id=session_id)
        except IntegrityError:
            pass  # somebody has opened it just now
    session = Session.objects.lock(session_id)
    if not by.may_act_for(session.user_id) or (must_own and session.user_id != owner):
        raise SessionNotFound
    if not session.is_active:
        raise SessionAlreadyClosed
    session.touch()
    return session


def _attach(session: Session, state: HoleState, dataset: Dataset, lapsed: int | None) -> None:
    """Give the session this hole; the database decides who is first. Raises HoleAlreadyStarted."""
    if lapsed is not None:
        Hole.objects.filter(pk=lapsed, ended_at=None).update(ended_at=clock.now())
    try:
        with transaction.atomic():
            Hole.objects.create(
                session=session,
                course_id=state.course_id,
                hole_id=state.hole_id,
                green_id=dataset.manifest.green_id,
                dtm_id=dataset.manifest.dtm_id,
                competition_mode=state.competition_mode,
                started_at=clock.now(),
            )
    except IntegrityError:
        raise HoleAlreadyStarted from None


def _change(session_id: str, dataset: Dataset, apply: Callable[[HoleState], tuple[HoleState, Taken]]) -> Playing:
    """Change the hole in the store as one step, and note that the session was used."""
    store = hole_store.current()
    with store.transaction():
        state, said = store.change(session_id, apply)
        if not hole_rows.note_use(session_id):
            raise SessionAlreadyClosed
    return _playing(state, dataset, said)


def _playing(state: HoleState, dataset: Dataset, said: Taken) -> Playing:
    if said.committed is not None:
        golf_metrics.SURFACE_COMMITS.labels(to=said.committed).inc()
    return Playing(state, dataset, said.warnings)


def _cup_warnings(dataset: Dataset, cup: Wgs84 | None) -> tuple[str, ...]:
    """What is to be said of a cup that is stored all the same. Raises TransformFailed."""
    if cup is None or not dataset.green.outside_extents_m(geometry.to_local(cup, dataset.manifest.frame)):
        return ()
    return (CUP_OUTSIDE_GREEN,)
