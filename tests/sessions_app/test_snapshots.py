"""The one verb that writes states, by the batch; repetition and the end of a state (STA-55 to STA-64)."""

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.db import connection

from sessions_app import clock, snapshots
from sessions_app.errors import SessionNotFound
from sessions_app.models import IdempotentAnswer, Session, State, StateVersion
from sessions_app.state import canonical, history, known, statestore
from sessions_app.state.canonical import Document
from sessions_app.state.idempotency import Answer, Repeat
from sessions_app.state.known import Known
from sessions_app.state.operations import Operation, Outcome
from sessions_app.state.rows import LockedSession
from sessions_app.state.state_errors import (
    IdempotencyKeyReused,
    OpIdReused,
    SnapshotExpired,
    SnapshotNotFound,
    StateTooLarge,
    VersionConflict,
)
from sessions_app.state.versions import Snapshot
from sessions_app.state.writes import KeyWrite, MergePatch, Replace, Resolve, Update, Write
from tests.factories import make_caller, make_session, make_snapshot

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


def wish(session_id: str, write: Write, **over: Any) -> Operation:
    """A write of u1."""
    return Operation(session_id=session_id, by=make_caller("u1"), write=write, **{"user_id": "u1", **over})


def remembered(snapshot: Snapshot, document: Document) -> Known:
    """A state as the process may have it in memory."""
    return Known(LockedSession(snapshot.session_id, snapshot.user_id, "active", clock.now()), snapshot, document)


def done(*operations: Operation) -> list[Any]:
    """Versions that were made, or the errors that came instead."""
    results = snapshots.commit(operations)
    return [
        result.version and result.version.version if isinstance(result, Outcome) else type(result) for result in results
    ]


def test_commit_gives_each_operation_the_result_of_the_earlier_ones():
    """STA-64: arrival order within a session, one version each."""
    session_id = make_snapshot("u1", {"n": 0}).session_id
    writes = [Update(version, {"n": version}, []) for version in (1, 2, 3)]

    assert done(*[wish(session_id, write) for write in writes]) == [2, 3, 4]
    assert snapshots.current(session_id, by=make_caller("u1")).canonical == b'{"n":3}'


def test_commit_refuses_one_without_harming_the_others():
    """STA-64: refused operations leave the group."""
    one, other = (make_snapshot("u1", {"n": 0}).session_id for _ in range(2))
    too_large = MergePatch({"text": "x" * 1_048_576})

    assert done(
        wish(one, Update(1, {"n": 1}, [])),
        wish(one, Update(1, {"n": 2}, [])),
        wish("sess_0123456789abcdef", MergePatch({})),
        wish(other, too_large),
        wish(other, MergePatch({"n": 1})),
        wish(one, MergePatch({"n": 3})),
    ) == [2, VersionConflict, SessionNotFound, StateTooLarge, 2, 3]


def test_commit_writes_nothing_when_the_transaction_fails(monkeypatch):
    """STA-64: all or none, and the memory of documents does not run ahead."""
    before = make_snapshot("u1", {"n": 0})
    monkeypatch.setattr(statestore, "write", lambda *arguments, **more: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        snapshots.commit([wish(before.session_id, MergePatch({"n": 1}))])
    monkeypatch.undo()

    assert snapshots.current(before.session_id, by=make_caller("u1")) == before
    assert done(wish(before.session_id, Update(1, {"n": 2}, []))) == [2]


def test_commit_reads_the_state_anew_when_its_memory_is_old():
    """STA-66: a remembered document serves only while its checksum is the stored one."""
    before = make_snapshot("u1", {"n": 0})
    stale = canonical.document({"n": "stale"})
    known.remember([remembered(before._replace(checksum=stale.checksum), stale)])

    assert done(wish(before.session_id, MergePatch({"m": 1}))) == [2]
    assert snapshots.current(before.session_id, by=make_caller("u1")).canonical == b'{"m":1,"n":0}'


def test_memory_of_states_is_bounded(monkeypatch):
    """The least recently written make room."""
    monkeypatch.setattr(known, "MOST_BYTES", 1000)
    before = make_snapshot("u1")
    document = canonical.document({"text": "x" * 100})
    for number in range(20):
        known.remember([remembered(before._replace(session_id=f"s{number}"), document)])

    assert known.find("s19") is not None
    assert known.find("s0") is None


def test_commit_takes_few_round_trips(django_assert_num_queries):
    """STA-64: a batch is read at once and written at once, however many operations it has."""
    ids = [make_snapshot("u1").session_id for _ in range(10)]

    with django_assert_num_queries(2):  # the savepoint of the test's transaction; the statements go past the ORM
        snapshots.commit([wish(session_id, MergePatch({"n": 1})) for session_id in ids])


def test_commit_notes_the_activity_of_a_session():
    """SES-54: a write counts as acting within the session, noted every few seconds."""
    session_id = make_snapshot("u1").session_id
    Session.objects.update(last_activity_at=clock.now() - DAY)

    snapshots.commit([wish(session_id, MergePatch({}))])

    assert clock.now() - Session.objects.get().last_activity_at < dt.timedelta(minutes=1)


def test_log_and_state_agree_after_every_kind_of_write():
    """STA-62, L1: the log replayed from nothing is the state, version by version."""
    session_id = make_snapshot("u1", {"a": 1, "b": {"x": 1}}).session_id
    device = {"device_id": "d1"}
    writes: list[tuple[Write, dict[str, Any]]] = [
        (Update(1, {"c": [1]}, ["a"]), {}),
        (MergePatch({"b": {"x": None, "y": 2}}), {}),
        (KeyWrite("k", 1.0), {"op_id": "1", **device}),
        (KeyWrite("k", None, "DELETE"), {"op_id": "2", **device}),
        (Resolve(1, {"a": 7, "z": 0}, "merge"), {}),
        (Replace({"new": True}), {}),
    ]
    for write, over in writes:
        assert isinstance(snapshots.commit([wish(session_id, write, **over)])[0], Outcome)

    state: dict[str, Any] = {}
    current = snapshots.current(session_id, by=make_caller("u1"))
    log = history.between(session_id, current.epoch, 0, 99)
    assert [version.version for version in log] == list(range(1, 8))
    for version in log:
        assert version.before == {key: state[key] for key in {*version.changed, *version.deleted_keys} & state.keys()}
        state = {key: value for key, value in (state | version.changed).items() if key not in version.deleted_keys}
        assert version.checksum == canonical.document(state).checksum
    assert current.canonical == canonical.document(state).canonical


def test_op_id_makes_at_most_one_version():
    """DEV-44, STA-57: a repeat gets the first version, also within a batch; another write under it is refused."""
    session_id = make_snapshot("u1").session_id
    first = wish(session_id, KeyWrite("k", 1), device_id="d1", op_id="op")

    results = [*snapshots.commit([first, first]), *snapshots.commit([first])]

    assert [(r.version.version, r.duplicate) for r in results if isinstance(r, Outcome) and r.version] == [
        (2, False),
        (2, True),
        (2, True),
    ]
    assert done(wish(session_id, KeyWrite("k", 2), device_id="d1", op_id="op")) == [OpIdReused]
    assert done(wish(session_id, KeyWrite("k", 2), device_id="d2", op_id="op")) == [3]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (KeyWrite("k", 1), KeyWrite("k", 1.0), True),
        (KeyWrite("k", None, "DELETE"), KeyWrite("k", 5, "DELETE"), True),
        (KeyWrite("k", 1), KeyWrite("k", True), False),
        (KeyWrite("k", 1), KeyWrite("j", 1), False),
        (KeyWrite("k", {}), KeyWrite("k", {}, "MERGE"), False),
        (KeyWrite("k", 1), KeyWrite("k", 1, based_on=1), False),
    ],
)
def test_op_id_stands_for_key_value_operation_and_base(one, other, same):
    """DEV-44."""
    assert (one.digest == other.digest) == same


def repeat(digest: bytes = b"d", key: str = "k", scope: str = "user u1") -> Repeat:
    return Repeat(scope, key, digest)


def test_a_repeated_request_gets_its_first_answer():
    """STA-55, STA-56: nothing is written again, in the batch or later."""
    session_id = make_snapshot("u1").session_id
    request = wish(session_id, MergePatch({"n": 1}), repeat=repeat())

    first, second = snapshots.commit([request, request])
    [third] = snapshots.commit([request])

    assert isinstance(first, Outcome)
    assert first.answer is None
    assert isinstance(third, Outcome)
    assert isinstance(third.answer, Answer)
    assert isinstance(second, Outcome)
    assert second.answer == third.answer
    assert StateVersion.objects.count() == 2


def test_a_reused_key_is_refused():
    """STA-56: in whatever session; another caller's key is another key."""
    one, other = (make_snapshot("u1").session_id for _ in range(2))
    snapshots.commit([wish(one, MergePatch({}), repeat=repeat())])

    assert done(wish(other, MergePatch({}), repeat=repeat(b"x"))) == [IdempotencyKeyReused]
    assert done(wish(other, MergePatch({}), repeat=repeat(b"x", scope="user u2"))) == [2]


def test_a_refused_request_is_not_remembered():
    """STA-56: non-2xx answers are not stored."""
    session_id = make_snapshot("u1").session_id

    assert done(wish(session_id, Update(9, {"a": 1}, []), repeat=repeat())) == [VersionConflict]
    assert done(wish(session_id, Update(1, {"a": 1}, []), repeat=repeat())) == [2]


def test_a_key_may_be_used_again_after_a_day():
    """STA-55: 24 hours."""
    session_id = make_snapshot("u1").session_id
    with time_machine.travel(clock.now() - DAY, tick=False):
        snapshots.commit([wish(session_id, MergePatch({}), repeat=repeat())])

    assert done(wish(session_id, MergePatch({}), repeat=repeat(b"other"))) == [3]
    assert IdempotentAnswer.objects.count() == 1


@pytest.mark.parametrize("write", [Update(1, {"a": 1}, []), MergePatch({}), Resolve(1, {}, "merge")])
def test_an_expired_state_refuses_all_but_a_new_one(write):
    """STA-58."""
    session_id = expired()

    assert done(wish(session_id, write)) == [SnapshotExpired]
    with pytest.raises(SnapshotExpired):
        snapshots.current(session_id, by=make_caller("u1"))
    assert snapshots.held(session_id) is None


@pytest.mark.parametrize("write", [Replace({"b": 2}, 1), KeyWrite("b", 2, based_on=0)])
def test_an_expired_state_begins_anew(write):
    """STA-60, STA-61: new epoch, version 1, the old history gone."""
    session_id = expired()
    before = State.objects.get().epoch

    assert done(wish(session_id, write)) == [1]
    assert State.objects.get().epoch != before
    assert [version.epoch for version in StateVersion.objects.all()] == [State.objects.get().epoch]
    assert snapshots.current(session_id, by=make_caller("u1")).canonical == b'{"b":2}'


def test_a_refused_new_beginning_leaves_the_expired_state():
    """STA-60: the operations after it meet what it left."""
    session_id = expired()

    assert done(wish(session_id, Replace({}, 5)), wish(session_id, MergePatch({}))) == [
        VersionConflict,
        SnapshotExpired,
    ]


def test_sweep_erases_what_expired_long_ago():
    """STA-59: seven days after its end, state and history; not a day before."""
    session_id = expired()
    with time_machine.travel(clock.now() + 6 * DAY):
        assert snapshots.sweep() == 0
    with time_machine.travel(clock.now() + 8 * DAY):
        assert snapshots.sweep() == 1

    assert not State.objects.exists()
    assert not StateVersion.objects.exists()
    with pytest.raises(SnapshotNotFound):
        snapshots.current(session_id, by=make_caller("u1"))
    assert done(wish(session_id, Update(0, {"a": 1}, []))) == [1]


def expired() -> str:
    """A session whose state of two versions reached its end just now."""
    with time_machine.travel(clock.now() - 7 * DAY):
        session_id = make_snapshot("u1", {"a": 1}).session_id
        snapshots.commit([wish(session_id, MergePatch({"a": 2}))])
    return session_id


def test_writing_keeps_a_state_alive_and_reading_does_not():
    """STA-20, STA-29."""
    before = make_snapshot("u1")
    with time_machine.travel(clock.now() + DAY):
        assert snapshots.current(before.session_id, by=make_caller("u1")).expires_at == before.expires_at
        snapshots.commit([wish(before.session_id, MergePatch({}))])

        assert snapshots.current(before.session_id, by=make_caller("u1")).expires_at > before.expires_at


def test_a_socket_write_starts_a_state_in_a_session_without_one():
    """DEV-39, DEV-41."""
    session = make_session("u1", exclusive=False)

    assert done(wish(session.session_id, KeyWrite("k", 1, based_on=0), device_id="d1", op_id="a")) == [1]


@pytest.mark.parametrize(
    ("http", "socket"),
    [
        (Update(1, {"k": {"x": 1.0}}, []), KeyWrite("k", {"x": 1}, based_on=1)),
        (Update(1, {}, ["a"]), KeyWrite("a", None, "DELETE", based_on=1)),
        (MergePatch({"o": {"x": None, "y": 2}}), KeyWrite("o", {"x": None, "y": 2}, "MERGE")),
        (MergePatch({"a": None, "b": 3}), KeyWrite("", {"a": None, "b": 3}, "MERGE")),
        (Update(7, {"a": 2}, []), KeyWrite("a", 2, based_on=7)),
        (Update(1, {"a": 2**60 + 1}, []), KeyWrite("a", 2**60 + 1, based_on=1)),
    ],
)
def test_both_doors_write_alike(http, socket):
    """STA-68: the same change on the same state gives the same state, version, checksum, conflict and refusal."""
    told: list = []
    for write in (http, socket):
        session_id = make_snapshot("u1", {"a": 1, "o": {"x": 1}}).session_id
        [result] = snapshots.commit([wish(session_id, write, device_id="d1", op_id="o" if write is socket else None)])
        if isinstance(result, Outcome):
            assert result.version
            told.append(
                (result.version.version, result.version.checksum, result.version.changes, result.version.deleted_keys)
            )
        else:
            conflict = {**result.members.get("conflict", {})}
            volatile = {"epoch", "server_state"}
            told.append((type(result), {name: value for name, value in conflict.items() if name not in volatile}))

    assert told[0] == told[1]


def test_since_tells_what_came_after_a_version(settings):
    """DEV-46, DEV-47: the missing versions in order, or nothing if one of them is not kept."""
    settings.HISTORY_VERSIONS = 3
    before = make_snapshot("u1")
    for number in range(4):
        snapshots.commit([wish(before.session_id, MergePatch({"n": number}))])
    current = snapshots.current(before.session_id, by=make_caller("u1"))

    assert [version.version for version in history.since(current, 2) or []] == [3, 4, 5]
    assert history.since(current, 5) == []
    assert history.since(current, 1) is None


def test_state_rows_leave_room_for_their_next_version(db):
    """STA-67: pages are half filled, so that an update touches no index; storage does what zlib has done already."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = 'sessions_app_state'")
        assert cursor.fetchone()[0] == ["fillfactor=50", "toast_tuple_target=8160"]
