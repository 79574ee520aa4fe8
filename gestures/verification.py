"""Whether a completed capture is still what was recorded (GES-58): file, array, row and log line held together."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from gestures import artifacts, features
from gestures.models import FeatureRef
from sessions_app.log import replay
from sessions_app.log.replay import Difference, Story
from sessions_app.models import Session

OK = "ok"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`word` is ok or the first failed check; `hash` and `shape` as found in the file, if it came that far."""

    word: str
    detail: str = ""
    hash: str | None = None
    shape: tuple[int, ...] | None = None

    @property
    def is_ok(self) -> bool:
        """Whether every check passed."""
        return self.word == OK


def verify(ref: FeatureRef) -> Verdict:
    """Run the checks of GES-58 in their order; the first failure is the verdict. Changes nothing."""
    try:
        data = artifacts.read(ref.uri)
    except FileNotFoundError:
        return Verdict("file_missing", ref.uri)
    found = artifacts.sha256(data)
    shape, word, detail = _array_verdict(ref, data)
    if found != ref.hash:
        word, detail = "hash_mismatch", f"{found} is not the recorded {ref.hash}"
    if word == OK:
        word, detail = _event_verdict(ref)
    return Verdict(word, detail, found, shape)


def register() -> None:
    """Let `replay_session` hold captures against their lines too (SES-58)."""
    replay.register("gestures", differences)


def differences(story: Story, session: Session | None) -> Iterator[Difference]:
    """Where the feature-ref lines of a log and the rows disagree (SES-59)."""
    rows = {str(ref.record_id): ref for ref in FeatureRef.objects.filter(session_id=story.session_id)}
    lines = {str(line.event.get("record_id")): line.event for line in story.of_kind(features.READY) if line.event}
    for record_id, event in lines.items():
        if record_id not in rows:
            is_ours = (event.get("user_id"), event.get("session_id")) == (story.user_id, story.session_id)
            ref = features.restorable(event) if is_ours else None
            yield Difference("feature_row_missing", record_id, repair=partial(_insert, ref) if ref else None)
        elif features.event_of(rows[record_id]) != event:
            yield Difference("field_mismatch", f"{record_id} differs between line and row")
    for record_id in rows.keys() - lines.keys():
        yield Difference("feature_event_missing", record_id)


def lines_without_row(session: Session) -> list[str]:
    """The record_ids of feature-ref lines that no row stands for."""
    rows = _row_ids(session)
    try:
        return [found for found in features.recorded_ids(session.user_id, session.session_id) if found not in rows]
    except OSError:
        return []  # without its log, each row of the session is `event_missing`


def orphans(session: Session) -> list[str]:
    """The record_ids of files that no row names."""
    rows = _row_ids(session)
    return [name for name in artifacts.names(session.user_id, session.session_id) if name not in rows]


def strays() -> Iterator[tuple[str, str]]:
    """The session_id and record_id of every file in a directory that belongs to no session."""
    for user_id, session_id in artifacts.directories():
        if not Session.objects.filter(session_id=session_id, user_id=user_id).exists():
            yield from ((session_id, name) for name in artifacts.names(user_id, session_id))


def _row_ids(session: Session) -> set[str]:
    return {str(found) for found in FeatureRef.objects.filter(session=session).values_list("record_id", flat=True)}


def _array_verdict(ref: FeatureRef, data: bytes) -> tuple[tuple[int, ...] | None, str, str]:
    """The shape of the array, if there is one, and whether it is what the row says."""
    try:
        array = artifacts.decode(data)
    except ValueError as error:
        return None, "not_npz", str(error)
    if array.ndim != 2 or array.dtype.str != "<f4" or array.shape[0] != ref.frames:
        return array.shape, "bad_shape", f"{array.dtype} {array.shape}, recorded are {ref.frames} frames of float32"
    if array.shape[1] != ref.dims:
        return array.shape, "dims_mismatch", f"{array.shape[1]} columns, recorded are {ref.dims}"
    return array.shape, OK, ""


def _event_verdict(ref: FeatureRef) -> tuple[str, str]:
    """Whether the log has exactly one line of this capture, and it says what the row says."""
    try:
        lines = features.recorded(ref.user_id, ref.session_id, str(ref.record_id))
    except OSError as error:
        return "event_missing", f"the log cannot be read: {error.strerror}"
    if len(lines) != 1:
        return ("event_duplicate", f"{len(lines)} lines") if lines else ("event_missing", "no line in the log")
    if lines[0] != features.event_of(ref):
        return "event_mismatch", "line and row disagree"
    return OK, ""


def _insert(ref: FeatureRef) -> None:
    ref.save(force_insert=True)
