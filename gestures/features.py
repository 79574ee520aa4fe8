"""The completion of a capture (GES-46 to GES-52): its file, its row and exactly one event, or nothing at all."""

import datetime as dt
import errno
import uuid
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction

from gestures import artifacts, errors, layout
from gestures.artifacts import Temporary
from gestures.machine.moves import Open
from gestures.models import FeatureRef
from sessions_app import broadcast, clock, eventlog, events, faults, paths
from sessions_app.errors import SessionNotFound
from sessions_app.events import Event
from sessions_app.fanout import frames
from sessions_app.kinds import DomainError
from sessions_app.log import logreader
from sessions_app.models import Session
from sessions_app.protocol import Frame

READY = "raw_features.ready"
SOURCE = "landmark_extractor"
MODALITY = "gesture"
COMPLETED = "capture_completed"  # the type of the broadcast


@dataclass(frozen=True, slots=True)
class Extracted:
    """A capture whose every frame has its row. rows: T * DIMS little-endian float32 values in frame order."""

    opened: Open
    timestamp_end: dt.datetime
    rows: bytes | bytearray
    layout: str
    captured_bytes: int


def store(extracted: Extracted) -> FeatureRef:
    """Write the artefact, insert its row, append its event, in the order of GES-46.

    Raises ExtractorFailed, SessionInvalid, SessionClosed, RecordIdUsed, StoreFailed; then no file, row or event of this
    capture remains, except that a line whose commit was lost gets the row it stands for (GES-48).
    """
    opened = extracted.opened
    temporary = _write(extracted)
    faults.reach("store.written")
    try:
        with transaction.atomic():
            session = _lock(opened)
            ref = None if _complete_lost_commit(session, opened.record_id) else _record(session, extracted, temporary)
            faults.reach("store.before_commit")
    except DatabaseError as error:
        raise errors.StoreFailed("The database did not take the capture.") from error
    finally:
        artifacts.remove(temporary.path)
    faults.reach("store.committed")
    if ref is None:
        raise errors.RecordIdUsed
    return ref


def encoding(layout_name: str, fps_target: int) -> str:
    """How the values of a file came about (GES section 7)."""
    return f"{layout_name};fps={fps_target};max_window_s=120;extractor_tag={settings.EXTRACTOR_TAG}"


def event_of(ref: FeatureRef) -> Event:
    """The one line a completed capture has in the log; it holds everything the row does (GES-51)."""
    return {
        "schema_version": events.SCHEMA_VERSION,
        "record_id": str(ref.record_id),
        "user_id": ref.user_id,
        "session_id": ref.session_id,
        "timestamp": clock.stamp(ref.created_at),
        "modality": ref.modality,
        "source": SOURCE,
        "performer_id": ref.performer_id,
        "event": READY,
        "raw_features_ref": ref.raw_features_ref,
        "capture": {
            "timestamp_start": clock.stamp(ref.timestamp_start),
            "timestamp_end": clock.stamp(ref.timestamp_end),
            "fps_target": ref.fps_target,
            "width": ref.width,
            "height": ref.height,
            "frames": ref.frames,
            "bytes": ref.captured_bytes,
            "device_id": ref.device_id,
            "intent": ref.intent,
        },
    }


def from_event(event: Event, *, size_bytes: int) -> FeatureRef:
    """The row a line stands for, not yet saved. Raises KeyError, TypeError, ValueError if the line is none of ours."""
    reference, captured = event["raw_features_ref"], event["capture"]
    return FeatureRef(
        record_id=uuid.UUID(event["record_id"]),
        session_id=event["session_id"],
        user_id=event["user_id"],
        performer_id=event["performer_id"],
        modality=event["modality"],
        created_at=clock.parse(event["timestamp"]),
        size_bytes=size_bytes,
        captured_bytes=captured["bytes"],
        timestamp_start=clock.parse(captured["timestamp_start"]),
        timestamp_end=clock.parse(captured["timestamp_end"]),
        **{name: captured[name] for name in ("fps_target", "width", "height", "frames", "device_id", "intent")},
        **{name: reference[name] for name in ("uri", "hash", "encoding", "dims", "format", "dtype")},
    )


def restorable(event: Event) -> FeatureRef | None:
    """The row of a recorded line, not yet saved, if its artefact verifies; None if it does not (SES-59)."""
    try:
        data = artifacts.read(event["raw_features_ref"]["uri"])
        ref = from_event(event, size_bytes=len(data))
    except (OSError, KeyError, TypeError, ValueError):
        return None
    return ref if artifacts.sha256(data) == ref.hash else None


def recorded(user_id: str, session_id: str, record_id: str) -> list[Event]:
    """Every feature-ref line of this capture in its session's log, in order. Raises OSError."""
    path = _log(user_id, session_id)
    found = (line.event for line in logreader.read(path) if record_id.encode() in line.raw and line.event is not None)
    return [event for event in found if event.get("event") == READY and event.get("record_id") == record_id]


def recorded_ids(user_id: str, session_id: str) -> list[str]:
    """The record_ids of all feature-ref lines of a session's log, in order. Raises OSError."""
    path = _log(user_id, session_id)
    found = (line.event for line in logreader.read(path) if READY.encode() in line.raw and line.event is not None)
    return [str(event.get("record_id")) for event in found if event.get("event") == READY]


def _log(user_id: str, session_id: str) -> Path:
    """Where the log is. Raises OSError if a link leads there, and so to no log."""
    try:
        return paths.session_log_path(user_id, session_id)
    except paths.PathRefused as error:
        raise logreader.NotALog(errno.ELOOP, str(error)) from error


def _write(extracted: Extracted) -> Temporary:
    opened = extracted.opened
    try:
        features = artifacts.features_of(extracted.rows, layout.DIMS)
    except ValueError as error:
        raise errors.ExtractorFailed(f"The extractor gave an unusable row: {error}.") from error
    try:
        return artifacts.write_temporary(opened.user_id, opened.session_id, opened.record_id, features)
    except (OSError, paths.PathRefused) as error:
        raise errors.StoreFailed("The artefact could not be written.") from error


def _lock(opened: Open) -> Session:
    try:
        session = Session.objects.lock(opened.session_id)
    except SessionNotFound as error:
        raise errors.SessionInvalid from error
    if not session.is_active:
        raise errors.SessionClosed
    return session


def _complete_lost_commit(session: Session, record_id: str) -> bool:
    """Whether the log holds this capture already; a row that was lost with its commit is inserted (GES-48).

    A line is written only after its file has its name, so a log, which may be long, is read only if there is the file.
    """
    try:
        if not _log(session.user_id, session.session_id).exists():
            raise errors.StoreFailed("The session's log has vanished; a new one would hide that.")
        if not artifacts.is_there(artifacts.uri(session.user_id, session.session_id, record_id)):
            return False
        lines = recorded(session.user_id, session.session_id, record_id)
    except OSError as error:
        raise errors.StoreFailed("The session's log cannot be read.") from error
    if lines and not FeatureRef.objects.filter(record_id=record_id).exists():
        ref = restorable(lines[0])
        if ref is not None:
            ref.save(force_insert=True)
    return bool(lines)


def _record(session: Session, extracted: Extracted, temporary: Temporary) -> FeatureRef:
    ref = _new_row(session, extracted, temporary)
    try:
        with transaction.atomic():
            ref.save(force_insert=True)
    except IntegrityError as error:
        raise errors.RecordIdUsed from error
    faults.reach("store.inserted")
    try:
        final = artifacts.publish(temporary, str(ref.record_id))
    except OSError as error:
        raise errors.StoreFailed("The artefact could not be given its name.") from error
    faults.reach("store.renamed")
    try:
        eventlog.append(session, event_of(ref))
    except DomainError as error:
        artifacts.remove(final)
        if isinstance(error, errors.RecordIdUsed):
            raise
        raise errors.StoreFailed("The session's log did not take the event.") from error
    faults.reach("store.appended")
    session.save_recorded()
    broadcast.to_session(session.session_id, _announcement(ref))
    return ref


def _announcement(ref: FeatureRef) -> Frame:
    """What the session's devices hear once the capture is durable (GES-46 step 7)."""
    about = {"record_id": str(ref.record_id), "session_id": ref.session_id, "frames": ref.frames, "hash": ref.hash}
    return frames.broadcast(COMPLETED, "A capture has completed.", about)


def _new_row(session: Session, extracted: Extracted, temporary: Temporary) -> FeatureRef:
    opened = extracted.opened
    return FeatureRef(
        record_id=uuid.UUID(opened.record_id),
        session=session,
        user_id=opened.user_id,
        performer_id=opened.performer_id,
        device_id=opened.device_id or session.device_id,
        modality=MODALITY,
        uri=artifacts.uri(opened.user_id, opened.session_id, opened.record_id),
        hash=temporary.hash,
        encoding=encoding(extracted.layout, opened.fps_target),
        dims=layout.DIMS,
        frames=len(extracted.rows) // (4 * layout.DIMS),
        size_bytes=temporary.size_bytes,
        timestamp_start=_wire_time(opened.timestamp_start),
        timestamp_end=_wire_time(extracted.timestamp_end),
        fps_target=opened.fps_target,
        width=opened.width,
        height=opened.height,
        captured_bytes=extracted.captured_bytes,
        intent=opened.intent,
        created_at=clock.now(),
    )


def _wire_time(at: dt.datetime) -> dt.datetime:
    """The instant as row and line both hold it: three fractional digits (SES-4)."""
    return clock.parse(clock.stamp(at))
