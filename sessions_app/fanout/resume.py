"""What a client, or a process, that knows a state up to some version is missing (DEV-46, DEV-47, L4)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sessions_app import clock, snapshots
from sessions_app.fanout import frames
from sessions_app.models import State
from sessions_app.protocol import MAX_MESSAGE_BYTES, Frame, MessageType
from sessions_app.state import history
from sessions_app.state.versions import Snapshot, oldest_kept

Position = tuple[str | None, int]  # epoch and seq; without a state None and 0
NOWHERE: Position = (None, 0)


@dataclass(frozen=True, slots=True)
class Standing:
    """The current state, and the frames that lead to it; `missing` is None where only the state itself helps."""

    snapshot: Snapshot | None
    missing: list[Frame] | None

    @property
    def position(self) -> Position:
        """Where the state is now."""
        return NOWHERE if self.snapshot is None else (self.snapshot.epoch, self.snapshot.version)


def since(session_id: str, *, epoch: str | None, seq: int, most: int) -> Standing:
    """The current state, and the frames after `seq` of `epoch` if there are at most `most` of them."""
    return _standing(snapshots.held(session_id), epoch, seq, most)


def since_each(asked: Sequence[tuple[str, str | None, int]], *, most: int) -> list[Standing]:
    """The same for many: session, epoch and seq of each."""
    held = snapshots.held_each({session_id for session_id, _, _ in asked})
    ways = {way: _standing(held.get(way[0]), way[1], way[2], most) for way in set(asked)}
    return [ways[way] for way in asked]


def _standing(snapshot: Snapshot | None, epoch: str | None, seq: int, most: int) -> Standing:
    if snapshot is None or snapshot.epoch != epoch or not 0 <= snapshot.version - seq <= most:
        return Standing(snapshot, None)
    if seq == snapshot.version:
        return Standing(snapshot, [])
    if seq < oldest_kept(snapshot.version) - 1:
        return Standing(snapshot, None)
    versions = history.between(snapshot.session_id, snapshot.epoch, seq, snapshot.version)
    found = [frames.of_version(version, snapshot) for version in versions]
    return Standing(snapshot, found if _is_whole(found, seq, snapshot.version) else None)


def positions(session_ids: Iterable[str]) -> dict[str, Position]:
    """Where the states of these sessions are; those without one are left out."""
    rows = State.objects.filter(session_id__in=list(session_ids), expires_at__gt=clock.now())
    return {
        session_id: (str(epoch), version) for session_id, epoch, version in rows.values_list("pk", "epoch", "version")
    }


def _is_whole(found: list[Frame], seq: int, current: int) -> bool:
    """Whether the frames are all there, each a change by itself, and together not longer than one message."""
    return (
        [frame.seq for frame in found] == list(range(seq + 1, current + 1))
        and all(frame.type is MessageType.STATE_UPDATE for frame in found)
        and sum(len(frame.json) for frame in found) < MAX_MESSAGE_BYTES
    )
