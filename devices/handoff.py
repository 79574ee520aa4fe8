"""One device hands the session's state to another: a token, once, with a receipt (DEV-55 to DEV-63)."""

import datetime as dt
import hashlib
import re
import secrets
from typing import Any, Final

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from devices.errors import DeviceMismatch, HandoffExpired, HandoffNotFound, HandoffUsed, SameDevice
from devices.models import Device, HandoffToken
from sessions_app import broadcast, clock, sessions, snapshots
from sessions_app.access.auth import Caller
from sessions_app.errors import SessionAlreadyClosed
from sessions_app.fanout import frames
from sessions_app.models import Session
from sessions_app.state import canonical
from sessions_app.state.versions import Snapshot

TOLD_FOR: Final = dt.timedelta(hours=24)  # a used or expired token is 410 so long, then 404
REPLAYED_FOR: Final = dt.timedelta(seconds=30)  # DEV-61
MOST_LISTED: Final = 20
_TOKEN = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)

Answer = dict[str, Any]


def offer(session_id: str, *, source_device: str, target_device: str, by: Caller) -> Answer:
    """Issue a token for the state of a session; only its hash is kept (DEV-56).

    Raises SameDevice, SessionNotFound, SessionAlreadyClosed.
    """
    if source_device == target_device:
        raise SameDevice
    sessions.visible(session_id, by=by)
    token, at = secrets.token_hex(32), clock.now()
    with transaction.atomic():
        if not Session.objects.lock(session_id).is_active:
            raise SessionAlreadyClosed
        version, checksum, _ = _standing(snapshots.held(session_id))
        handoff = HandoffToken.objects.create(
            handoff_id=f"hand-{secrets.token_hex(8)}", token_sha256=_sha256(token), session_id=session_id,
            source_device=source_device, target_device=target_device, issued_at=at, issued_version=version,
            issued_checksum=checksum, expires_at=at + dt.timedelta(seconds=settings.HANDOFF_TTL_S),
        )  # fmt: skip
        Device.objects.seen(session_id, (source_device, target_device), at=at)
    return {
        "token": token,
        "handoff_token": token,
        "handoff_id": handoff.handoff_id,
        "session_id": session_id,
        "source_device": source_device,
        "target_device": target_device,
        "version": version,
        "checksum": checksum,
        "expires_at": clock.stamp(handoff.expires_at),
        "expires_in": settings.HANDOFF_TTL_S,
    }


def accept(session_id: str, token: str, *, by: Caller, device_id: str | None, key: str | None) -> bytes:
    """Redeem a token, once: the state as it is now with a receipt, as JSON (DEV-57 to DEV-61).

    `device_id` is the caller's device if it is named, `key` its Idempotency-Key. Raises SessionNotFound,
    HandoffNotFound, DeviceMismatch, HandoffUsed, HandoffExpired, SessionAlreadyClosed.
    """
    sessions.visible(session_id, by=by)
    with transaction.atomic():
        session = Session.objects.lock(session_id)  # one redemption at a time
        at = clock.now()
        handoff = _find(session_id, token, at)
        if device_id not in (None, handoff.target_device):
            raise DeviceMismatch
        if handoff.redeemed_at is not None:
            return _repeated(handoff, at, is_named=device_id is not None, key=key)
        if handoff.expires_at <= at:
            raise HandoffExpired
        if not session.is_active:
            raise SessionAlreadyClosed
        return _redeem(handoff, session, at, key)


def recent(session_id: str, *, by: Caller) -> list[Answer]:
    """The newest handoffs of a session, without their tokens (DEV-63). Raises SessionNotFound."""
    sessions.visible(session_id, by=by)
    at = clock.now()
    found = HandoffToken.objects.filter(session_id=session_id).order_by("-issued_at", "-handoff_id")[:MOST_LISTED]
    return [_listed(handoff, at) for handoff in found]


def erase_old(at: dt.datetime, *, dry_run: bool = False) -> int:
    """Drop handoffs that nobody is told of any more; how many."""
    gone = at - TOLD_FOR
    over = HandoffToken.objects.filter(Q(redeemed_at__lte=gone) | Q(redeemed_at=None, expires_at__lte=gone))
    return over.count() if dry_run else over.delete()[0]


def _find(session_id: str, token: str, at: dt.datetime) -> HandoffToken:
    handoff = None
    if _TOKEN.match(token):
        handoff = HandoffToken.objects.filter(session_id=session_id, token_sha256=_sha256(token)).first()
    if handoff is None or at - (handoff.redeemed_at or handoff.expires_at) > TOLD_FOR:
        raise HandoffNotFound
    return handoff


def _redeem(handoff: HandoffToken, session: Session, at: dt.datetime, key: str | None) -> bytes:
    snapshot = snapshots.held(session.session_id)
    handoff.redeemed_version, handoff.redeemed_checksum, state = _standing(snapshot)
    handoff.redeemed_at = at
    answer = orjson.dumps(
        {
            "valid": True,
            "handoff_id": handoff.handoff_id,
            "session_id": session.session_id,
            "user_id": session.user_id,
            "source_device": handoff.source_device,
            "target_device": handoff.target_device,
            "state_data": orjson.Fragment(state),
            "version": handoff.redeemed_version,
            "epoch": snapshot.epoch if snapshot else None,
            "checksum": handoff.redeemed_checksum,
            "replayed": False,
            "receipt": _receipt(handoff),
        }
    )
    if key is not None:
        handoff.answer_key, handoff.answer = key, answer
    handoff.save()
    Device.objects.seen(session.session_id, (handoff.source_device, handoff.target_device), at=at)
    told = frames.broadcast(
        "handoff_complete", "The handoff is complete.", _receipt(handoff),
        from_device=handoff.target_device, recipient=handoff.source_device,
    )  # fmt: skip
    broadcast.to_session(session.session_id, told)
    return answer


def _repeated(handoff: HandoffToken, at: dt.datetime, *, is_named: bool, key: str | None) -> bytes:
    """The same answer once more, for the one whose answer may have been lost. Raises HandoffUsed."""
    assert handoff.redeemed_at is not None
    is_same = is_named and key is not None and key == handoff.answer_key
    if not is_same or handoff.answer is None or at - handoff.redeemed_at > REPLAYED_FOR:
        raise HandoffUsed
    answer = bytes(handoff.answer)
    head, _, tail = answer.rpartition(b'"replayed":false')  # the last one: whatever the state says comes before it
    return head + b'"replayed":true' + tail


def _receipt(handoff: HandoffToken) -> Answer:
    assert handoff.redeemed_at is not None
    return {
        "handoff_id": handoff.handoff_id,
        "source_device": handoff.source_device,
        "target_device": handoff.target_device,
        "issued_version": handoff.issued_version,
        "issued_checksum": handoff.issued_checksum,
        "issued_at": clock.stamp(handoff.issued_at),
        "redeemed_version": handoff.redeemed_version,
        "redeemed_checksum": handoff.redeemed_checksum,
        "redeemed_at": clock.stamp(handoff.redeemed_at),
    }


def _listed(handoff: HandoffToken, at: dt.datetime) -> Answer:
    status = "expired" if handoff.expires_at <= at else "pending"
    return {
        "handoff_id": handoff.handoff_id,
        "status": "redeemed" if handoff.redeemed_at else status,
        "source_device": handoff.source_device,
        "target_device": handoff.target_device,
        "issued_at": clock.stamp(handoff.issued_at),
        "expires_at": clock.stamp(handoff.expires_at),
        "receipt": _receipt(handoff) if handoff.redeemed_at else None,
    }


def _standing(snapshot: Snapshot | None) -> tuple[int, str, bytes]:
    """Version, checksum and canonical text of a state, or of none."""
    if snapshot is None:
        return 0, canonical.EMPTY.checksum, canonical.EMPTY.canonical
    return snapshot.version, snapshot.checksum, snapshot.canonical


def _sha256(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
