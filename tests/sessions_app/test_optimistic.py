"""Writes that hold no lock: one statement, refused by the state's row unless all is as the process knew it."""

import asyncio
import datetime as dt
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from sessions_app import clock, prepared, sessions, snapshots
from sessions_app.errors import SessionAlreadyClosed
from sessions_app.kinds import DomainError
from sessions_app.models import Session, State, StateVersion
from sessions_app.state import committer, known, loop_connection, statements
from sessions_app.state.attempts import Attempt
from sessions_app.state.idempotency import Repeat
from sessions_app.state.operations import Operation, Outcome
from sessions_app.state.state_errors import VersionConflict
from sessions_app.state.writes import KeyWrite, MergePatch, Replace, Resolve, Update, Write
from tests.factories import make_caller, make_snapshot

pytestmark = pytest.mark.django_db(transaction=True)


def wish(session_id: str, write: Write, **over: Any) -> Operation:
    """A write of u1."""
    return Operation(session_id=session_id, write=write, **{"by": make_caller("u1"), "user_id": "u1", **over})


def attempted(*operations: Operation) -> list[Outcome | None]:
    """What came about without a lock, housekeeping included."""
    attempt = Attempt(operations)
    query = attempt.query()
    results = attempt.settle({session_id for (session_id,) in prepared.rows(*query)} if query else set())
    for due in attempt.due:
        prepared.run(*due)
    return results


def made(*operations: Operation) -> list[int | None]:
    """The versions that came about without a lock."""
    return [result.version.version if result and result.version else None for result in attempted(*operations)]


def written(operation: Operation) -> Outcome:
    """What came of it in the end."""

    async def once() -> Outcome:
        try:
            return await committer.committed(operation)
        finally:
            await committer.stop()

    return asyncio.run(once())


def stored(session_id: str) -> bytes:
    return snapshots.current(session_id, by=make_caller("u1")).canonical


def test_what_the_process_knows_is_written_by_one_statement():
    """STA-62, STA-64: versions in order, the state and its log in step."""
    one, other = make_snapshot("u1", {"n": 0}).session_id, make_snapshot("u1", {"m": 0}).session_id

    assert made(
        wish(one, Update(1, {"n": 1}, [])),
        wish(other, MergePatch({"m": None, "k": 1})),
        wish(one, Update(2, {"n": 2}, []), device_id="d1", op_id="o1"),
        wish(one, Resolve(2, {"z": 1}, "merge")),
    ) == [2, 2, 3, 4]
    assert (stored(one), stored(other)) == (b'{"n":2,"z":1}', b'{"k":1}')
    log = StateVersion.objects.filter(session_id=one).order_by("version")
    assert [bytes(version.changes) for version in log] == [b'{"n":0}', b'{"n":1}', b'{"n":2}', b'{"z":1}']
    assert log[3].checksum == State.objects.get(pk=one).checksum


@pytest.mark.parametrize(
    ("write", "over"),
    [
        (Update(7, {"n": 1}, []), {}),
        (MergePatch({"text": "x" * 1_048_576}), {}),
        (MergePatch({"n": 1}), {"user_id": "u2"}),
        (MergePatch({"n": 1}), {"by": make_caller("u2"), "user_id": None}),
        (MergePatch({"n": 1}), {"repeat": Repeat("u1", "key", b"digest")}),
        (Resolve(1, {"n": 0}, "server_wins"), {}),
        (Replace({"n": 0}, version=1), {}),
    ],
)
def test_what_is_refused_repeated_or_makes_no_version_is_left_for_the_lock(write, over):
    """A refusal is told only of what is certain; what shares the session goes the same way, the others go on."""
    one, other = make_snapshot("u1", {"n": 0}).session_id, make_snapshot("u1").session_id

    found = made(wish(one, MergePatch({"k": 1})), wish(one, write, **over), wish(other, MergePatch({"k": 1})))

    assert found == [None, None, 2]
    assert stored(one) == b'{"n":0}'


def test_a_session_the_process_does_not_know_is_left_for_the_lock():
    """Neither a new id nor a state that was forgotten."""
    session_id = make_snapshot("u1").session_id
    known.forget([session_id])

    assert made(wish(session_id, MergePatch({})), wish(str(uuid.uuid4()), Replace({}))) == [None, None]


def test_a_state_that_another_process_has_changed_is_left_for_the_lock():
    """STA-29, L1: nothing is written over what was not seen; the committer then does it under the lock."""
    before = make_snapshot("u1", {"n": 0})
    old = known.find(before.session_id)
    snapshots.commit([wish(before.session_id, MergePatch({"other": 1}))])
    assert old is not None
    known.remember([old])

    assert made(wish(before.session_id, MergePatch({"n": 1}))) == [None]
    known.remember([old])
    assert written(wish(before.session_id, MergePatch({"n": 1}))).version.version == 3  # type: ignore[union-attr]
    known.remember([old])
    with pytest.raises(VersionConflict, match="base_version 1 is not the current version 3"):
        written(wish(before.session_id, Update(1, {"n": 9}, [])))
    assert stored(before.session_id) == b'{"n":1,"other":1}'


def test_a_write_after_the_end_is_refused_though_the_process_knows_nothing_of_it():
    """STA-6: the end seals the state's row."""
    session_id = make_snapshot("u1").session_id
    sessions.end(session_id, user_id="u1", performer_id="u1", by=make_caller("u1"))

    assert made(wish(session_id, MergePatch({"n": 1}))) == [None]
    with pytest.raises(SessionAlreadyClosed):
        written(wish(session_id, MergePatch({"n": 1})))


def test_an_op_id_that_comes_again_writes_nothing_and_gets_its_first_version():
    """DEV-44, L2: whoever looks under the lock finds it; the batch around it goes on without one."""
    session_id, other = make_snapshot("u1").session_id, make_snapshot("u1").session_id
    first = wish(session_id, KeyWrite("k", 1), device_id="d1", op_id="o1")
    assert made(first) == [2]

    assert made(first, wish(other, MergePatch({"n": 1}))) == [None, 2]
    outcome = written(first)
    assert (outcome.duplicate, outcome.version and outcome.version.version) == (True, 2)
    assert StateVersion.objects.filter(session_id=session_id).count() == 2
    assert made(first._replace(op_id="o2"), first._replace(op_id="o2")) == [3, 3]


def test_no_version_is_later_than_the_end_of_its_session():
    """STA-6, STA-64: writers and the end race for the state's row; after the end every write is refused."""
    ids = [make_snapshot("u1").session_id for _ in range(6)]
    ended = asyncio.Event()

    async def write(session_id: str) -> list[type]:
        refused: list[type] = []
        while len(refused) < 3:
            try:
                await committer.committed(wish(session_id, MergePatch({"n": len(refused)})))
                assert not refused
            except DomainError as error:
                refused.append(type(error))
                await ended.wait()
        return refused

    async def end() -> None:
        for session_id in ids:
            await asyncio.to_thread(_end, session_id)
        ended.set()

    async def race() -> list[Any]:
        try:
            async with asyncio.timeout(60):
                return await asyncio.gather(end(), *map(write, ids))
        finally:
            await committer.stop()

    _, *refusals = asyncio.run(race())
    assert {kind for refused in refusals for kind in refused} == {SessionAlreadyClosed}

    for session in Session.objects.all():
        last = StateVersion.objects.filter(session_id=session.pk).latest("version")
        assert session.end_time is not None
        assert last.created_at <= session.end_time
        assert last.version == State.objects.get(pk=session.pk).version


def test_batches_with_and_without_locks_never_wait_for_each_other():
    """STA-64: states are locked in one order everywhere, whatever the order of the operations."""
    ids = [make_snapshot("u1").session_id for _ in range(12)]
    until = clock.now() + dt.timedelta(seconds=2)

    def write(number: int) -> int:
        commits: Any = [snapshots.commit, lambda operations: attempted(*operations)][number % 2]
        order, count = (ids if number < 2 else ids[::-1]), 0
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET deadlock_timeout = '10ms'")
            while clock.now() < until:
                results = commits([wish(session_id, MergePatch({"n": count})) for session_id in order])
                count += sum(isinstance(result, Outcome) for result in results)
        finally:
            connection.close()
        return count

    with ThreadPoolExecutor(4) as pool:
        written = sum(pool.map(write, range(4)))

    assert StateVersion.objects.count() == written + len(ids)
    for session_id in ids:
        versions = StateVersion.objects.filter(session_id=session_id).order_by("version")
        assert [row.version for row in versions] == list(range(1, len(versions) + 1))
        assert State.objects.get(pk=session_id).version == len(versions)


def test_what_is_tidied_later_harms_nobody(monkeypatch):
    """STA-63: a write that is committed is acknowledged, whatever becomes of the housekeeping behind it."""
    session_id = make_snapshot("u1").session_id
    Session.objects.update(last_activity_at=clock.now() - dt.timedelta(hours=1))
    known.forget([session_id])
    snapshots.commit([wish(session_id, MergePatch({"n": 0}))])
    found = known.find(session_id)
    assert found is not None
    known.remember(
        [found._replace(session=found.session._replace(last_activity_at=clock.now() - dt.timedelta(hours=1)))]
    )

    rows = loop_connection.LoopConnection.rows

    async def away(self: Any, statement: str, parameters: Any) -> Any:
        if statement == statements.TOUCH:
            raise psycopg.OperationalError("away")
        return await rows(self, statement, parameters)

    monkeypatch.setattr(loop_connection.LoopConnection, "rows", away)
    assert written(wish(session_id, MergePatch({"n": 1}))).version.version == 3  # type: ignore[union-attr]
    monkeypatch.undo()
    Session.objects.update(last_activity_at=clock.now() - dt.timedelta(hours=1))
    assert written(wish(session_id, MergePatch({"n": 2}))).version.version == 4  # type: ignore[union-attr]
    assert clock.now() - Session.objects.get().last_activity_at < dt.timedelta(minutes=1)  # SES-54


def test_the_end_waits_for_the_write_under_way():
    """The row's lock decides: who has it first is first."""
    session_id = make_snapshot("u1").session_id
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            State.objects.select_for_update().get(pk=session_id)
            ending = pool.submit(_end, session_id)
            with pytest.raises(TimeoutError):
                ending.result(0.3)
        assert ending.result(5)["event"] == "session.end"


def _end(session_id: str) -> Any:
    try:
        return sessions.end(session_id, user_id="u1", performer_id="u1", by=make_caller("u1"))
    finally:
        connection.close()
