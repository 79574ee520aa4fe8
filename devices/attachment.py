"""The last step of AUTH (DEV-21): many connections become present in their sessions at once, and learn the states."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.conf import settings

from devices import presence
from devices.leases import Holder
from devices.models import Device
from devices.presence import Entering
from sessions_app import clock, prepared
from sessions_app.errors import SessionAlreadyClosed, SessionNotFound
from sessions_app.fanout import resume
from sessions_app.fanout.resume import Standing
from sessions_app.kinds import DomainError
from sessions_app.models import ACTIVITY_NOTED_EVERY, Session
from sessions_app.state import statestore


class Entrant(NamedTuple):
    """A connection whose session's frames are arriving already."""

    holder: Holder
    texts: dict[str, Any]  # what AUTH says of the device
    says: dict[str, Any]  # what others are told of it
    wanted: Any  # AUTH's `resume`
    replaced_here: str | None  # the device's older connection in this process


def attach(entrants: Sequence[Entrant]) -> list[Standing | DomainError]:
    """Make the devices known and present, and read where the states stand.

    A refusal is SessionNotFound, SessionAlreadyClosed or TooManyConnections.
    """
    refusals = _refused_sessions({entrant.holder.session_id for entrant in entrants})
    going = [entrant for entrant in entrants if entrant.holder.session_id not in refusals]
    standings = resume.since_each(
        [(entrant.holder.session_id, *_resume_point(entrant.wanted)) for entrant in going],
        most=settings.RESUME_MAX_GAP,
    )
    _make_known(going)
    # Last: whoever is told of them is really in.
    refused = presence.join([Entering(each.holder, each.says, each.replaced_here) for each in going])
    answers = iter(no or standing for no, standing in zip(refused, standings, strict=True))
    return [refusals.get(entrant.holder.session_id) or next(answers) for entrant in entrants]


def _refused_sessions(session_ids: set[str]) -> dict[str, DomainError]:
    """Those that are not open any more; that somebody connects to the others is activity (SES-54)."""
    at = clock.now()
    found = Session.objects.only("status", "last_activity_at").in_bulk(session_ids)
    refused: dict[str, DomainError] = {name: SessionNotFound() for name in session_ids - found.keys()}
    refused |= {name: SessionAlreadyClosed() for name, session in found.items() if not session.is_active}
    idle = [name for name, session in found.items() if at - session.last_activity_at >= ACTIVITY_NOTED_EVERY]
    if noted := sorted(set(idle) - refused.keys()):
        prepared.run(*statestore.touching(noted, at))
    return refused


def _make_known(entrants: Iterable[Entrant]) -> None:
    """DEV-53; in one order in every process, and each device once."""
    texts = {(each.holder.session_id, each.holder.device_id): each.texts for each in entrants}
    Device.objects.connected(dict(sorted(texts.items())), at=clock.now())


def _resume_point(wanted: Any) -> tuple[str | None, int]:
    """Epoch and seq of a well-formed `resume`; what is malformed names a state that never was (DEV-48)."""
    if isinstance(wanted, dict) and isinstance(wanted.get("epoch"), str) and type(wanted.get("seq")) is int:
        return wanted["epoch"], wanted["seq"]
    return None, 0
