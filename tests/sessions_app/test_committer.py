"""The group committer: many callers, few transactions (STA-64)."""

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection

from sessions_app import snapshots
from sessions_app.errors import DatabaseUnavailable, Internal, SessionNotFound
from sessions_app.models import StateVersion
from sessions_app.state import attempts, committer, known, loop_connection
from sessions_app.state.attempts import Attempt
from sessions_app.state.known import Known
from sessions_app.state.operations import Operation
from sessions_app.state.state_errors import VersionConflict
from sessions_app.state.writes import JsonPatch, MergePatch, Update, Write
from tests.factories import make_caller, make_snapshot


def run(*coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
    """What each made of it, or its error, all on one new event loop that ends as a web process does."""

    async def all_at_once() -> list[Any]:
        try:
            return await asyncio.gather(*coroutines, return_exceptions=True)
        finally:
            await committer.stop()

    return asyncio.run(all_at_once())


def wish(session_id: str, write: Write | None = None) -> Operation:
    return Operation(session_id=session_id, by=make_caller("u1"), write=write or MergePatch({"n": 1}), user_id="u1")


@pytest.mark.django_db(transaction=True)
def test_every_write_of_many_callers_counts():
    """L1: no version is lost or made twice, whether it came from a loop or from a thread."""
    ids = [make_snapshot("u1").session_id for _ in range(4)]

    def from_a_thread(number: int) -> Any:
        try:
            return committer.commit(wish(ids[number % 4]))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        from_threads = [pool.submit(from_a_thread, number) for number in range(40)]
        outcomes = run(*[committer.committed(wish(ids[number % 4])) for number in range(40)])
        outcomes += [outcome.result() for outcome in from_threads]

    versions = sorted((outcome.snapshot.session_id, outcome.snapshot.version) for outcome in outcomes)
    assert versions == sorted((session_id, version) for session_id in ids for version in range(2, 22))


@pytest.mark.django_db(transaction=True)
def test_commit_gathers_what_waits(monkeypatch):
    """STA-64: while one commit is under way, the next batch forms; none is larger than 64."""
    session_id, sizes = make_snapshot("u1").session_id, []

    class Counting(Attempt):
        def __init__(self, operations: Sequence[Operation]) -> None:
            sizes.append(len(operations))
            super().__init__(operations)

    monkeypatch.setattr(committer, "Attempt", Counting)
    outcomes = run(*[committer.committed(wish(session_id)) for _ in range(150)])

    assert [outcome.version.version for outcome in outcomes] == list(range(2, 152))
    assert sum(sizes) == 150
    assert max(sizes) == committer.MOST_PER_BATCH
    assert len(sizes) <= 5


@pytest.mark.django_db
def test_commit_inside_a_transaction_is_part_of_it():
    """Management commands and tests have no other connection to wait for."""
    session_id = make_snapshot("u1").session_id

    version = committer.commit(wish(session_id)).version
    assert version is not None
    assert version.version == 2
    with pytest.raises(VersionConflict):
        committer.commit(wish(session_id, Update(1, {"a": 1}, [])))


@pytest.mark.django_db(transaction=True)
def test_a_loop_is_not_held_up_by_what_takes_long(monkeypatch):
    """A large state, a large request, a patch that may make much of little: computed in a thread."""
    small, large = (make_snapshot("u1", {"text": "x" * size}).session_id for size in (10, 100_000))
    seen: list[bool] = []

    class Watched(Attempt):
        def __init__(self, operations: Sequence[Operation]) -> None:
            seen.append(threading.current_thread() is threading.main_thread())
            super().__init__(operations)

    monkeypatch.setattr(committer, "Attempt", Watched)
    copying = JsonPatch([{"op": "copy", "from": "/text", "path": "/again"}])
    for operation in (wish(small), wish(large), wish(small)._replace(sent_bytes=100_000), wish(small, copying)):
        [outcome] = run(committer.committed(operation))
        assert outcome.version

    assert seen == [True, False, False, False]


@pytest.mark.django_db(transaction=True)
def test_a_large_state_of_somebody_else_is_refused_as_quickly_as_none():
    """STA-9: what takes long, and waits for its turn, is to compute a state, not to refuse one."""
    large = make_snapshot("u1", {"text": "x" * 100_000}).session_id
    theirs = wish(large)._replace(by=make_caller("u2"), user_id=None)

    assert not attempts.are_quick([wish(large)])
    assert attempts.are_quick([theirs])
    [refused] = run(committer.committed(theirs))
    assert isinstance(refused, SessionNotFound)


@pytest.mark.django_db(transaction=True)
def test_nobody_quick_waits_behind_what_takes_long(monkeypatch):
    """STA-67: a lane goes on while a large write of another session is computed, or waits for its turn."""
    small, large, third = (make_snapshot("u1", {"text": "x" * size}).session_id for size in (10, 100_000, 100_000))
    monkeypatch.setattr(committer, "LANES", 1)
    begun, go = threading.Event(), threading.Event()

    class Long(Attempt):
        def __init__(self, operations: Sequence[Operation]) -> None:
            if threading.current_thread() is not threading.main_thread():
                begun.set()
                assert go.wait(5)
            super().__init__(operations)

    monkeypatch.setattr(committer, "Attempt", Long)

    async def meanwhile() -> list[Any]:
        waiting = [asyncio.ensure_future(committer.committed(wish(name))) for name in (large, third)]
        assert await asyncio.to_thread(begun.wait, 5)
        quick = [await asyncio.wait_for(committer.committed(wish(small)), 5) for _ in range(2)]
        assert not any(one.done() for one in waiting)
        go.set()
        return [*quick, *await asyncio.gather(*waiting)]

    [outcomes] = run(meanwhile())
    assert [outcome.version.version for outcome in outcomes] == [2, 3, 2, 2]


@pytest.mark.django_db(transaction=True)
def test_what_takes_long_keeps_its_place_in_its_session(monkeypatch):
    """STA-64: operations on one session keep arrival order, whatever they take."""
    session_id, other = (make_snapshot("u1", {"n": 0}).session_id for _ in range(2))
    monkeypatch.setattr(committer, "LANES", 1)
    long = wish(session_id)._replace(sent_bytes=100_000)

    async def pipelined() -> list[Any]:
        first = [committer.committed(one) for one in (wish(session_id), long, wish(session_id), wish(session_id))]
        tasks = [asyncio.ensure_future(one) for one in [*first, committer.committed(wish(other))]]
        await asyncio.sleep(0.001)  # the siding is at work by now
        tasks += [asyncio.ensure_future(committer.committed(wish(session_id))) for _ in range(3)]
        return await asyncio.gather(*tasks)

    [outcomes] = run(pipelined())
    assert [outcome.version.version for outcome in outcomes] == [2, 3, 4, 5, 2, 6, 7, 8]


def test_a_full_siding_refuses_the_rest(monkeypatch):
    """STA-64: 503 at once for those who would be answered too late."""
    monkeypatch.setattr(committer, "MOST_WAITING", 3)
    monkeypatch.setattr(committer, "LANES", 1)
    go = threading.Event()

    def commit(operations: Sequence[Operation]) -> Any:
        assert go.wait(5)
        return ["done"] * len(operations)

    monkeypatch.setattr(committer, "Attempt", raises(ZeroDivisionError()))
    monkeypatch.setattr(snapshots, "commit", commit)

    async def more_and_more() -> list[Any]:
        waiting = []
        for _ in range(4):  # each time the lane has handed over what came before: its own inbox is never full
            waiting += [asyncio.ensure_future(committer.committed(wish("a", JsonPatch([])))) for _ in range(3)]
            await asyncio.sleep(0.01)
        go.set()
        return await asyncio.gather(*waiting, return_exceptions=True)

    [found] = run(more_and_more())
    assert found[:6] == ["done"] * 6  # one batch under way, and as many as may wait
    assert [type(error) for error in found[6:]] == [DatabaseUnavailable] * 6


def test_a_failed_commit_refuses_all_of_its_batch(monkeypatch):
    """STA-64: 503 for each, and the next batch is tried again."""
    monkeypatch.setattr(snapshots, "commit", raises(OperationalError("away")))

    refused = run(*[committer.committed(wish("a")) for _ in range(5)])
    assert [type(error) for error in refused] == [DatabaseUnavailable] * 5
    assert {error.retry_after for error in refused} == {1}


@pytest.mark.django_db(transaction=True)
def test_a_database_that_does_not_answer_refuses_the_attempt_too(monkeypatch):
    """STA-64: nobody knows whether it was committed; the lane goes on with a connection of its own making."""
    session_id = make_snapshot("u1").session_id

    async def cut_and_write() -> list[Any]:
        first = await committer.committed(wish(session_id))
        await asyncio.to_thread(_cut_the_lanes)
        try:
            second: Any = await committer.committed(wish(session_id))
        except DatabaseUnavailable as error:
            second = error
        return [first, second, await committer.committed(wish(session_id))]

    [[first, second, third]] = run(cut_and_write())
    assert first.version.version == 2
    assert isinstance(second, DatabaseUnavailable)
    assert third.version.version == 3


@pytest.mark.django_db(transaction=True)
def test_an_idle_connection_that_was_cut_fails_nobody(monkeypatch):
    """A restart of the database between two writes: the connection is tried before it is trusted."""
    session_id = make_snapshot("u1").session_id
    monkeypatch.setattr(loop_connection, "IDLE_S", 0.0)

    async def cut_and_write() -> Any:
        await committer.committed(wish(session_id))
        await asyncio.to_thread(_cut_the_lanes)
        return await committer.committed(wish(session_id))

    [outcome] = run(cut_and_write())
    assert outcome.version.version == 3


def test_a_defect_harms_only_its_own_operation(monkeypatch):
    """One bad operation is found by committing each by itself."""

    def commit(operations: Any) -> Any:
        if any(operation.session_id == "bad" for operation in operations):
            raise ZeroDivisionError
        return [operation.session_id for operation in operations]

    monkeypatch.setattr(snapshots, "commit", commit)
    monkeypatch.setattr(committer, "LANES", 1)

    good, bad, fine = run(*[committer.committed(wish(name)) for name in ("good", "bad", "fine")])
    assert (good, fine) == ("good", "fine")
    assert isinstance(bad, Internal)


def test_a_defect_of_an_attempt_is_left_for_the_lock(monkeypatch):
    """What cannot even be tried is committed as if nothing were remembered."""
    monkeypatch.setattr(committer, "Attempt", raises(ZeroDivisionError()))
    monkeypatch.setattr(snapshots, "commit", lambda operations: ["done"] * len(operations))

    assert run(committer.committed(wish("a"))) == ["done"]


@pytest.mark.django_db(transaction=True)
def test_a_defect_after_the_commit_writes_nothing_twice(monkeypatch):
    """L1: nobody is told of a version that was committed, but it is there once."""
    session_id = make_snapshot("u1").session_id
    monkeypatch.setattr(Attempt, "settle", raises(ZeroDivisionError()))

    [error] = run(committer.committed(wish(session_id)))
    assert isinstance(error, Internal)
    assert StateVersion.objects.filter(session_id=session_id).count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_defect_after_the_commit_under_locks_writes_nothing_twice(monkeypatch):
    """L1: what fails behind the commit is no reason to commit each operation by itself."""
    session_id = make_snapshot("u1").session_id
    known.forget([session_id])

    def remember(states: Iterable[Known]) -> None:
        if list(states):  # an attempt that came to nothing has none
            raise ZeroDivisionError

    monkeypatch.setattr(known, "remember", remember)

    [outcome] = run(committer.committed(wish(session_id)))
    assert outcome.version.version == 2
    assert StateVersion.objects.filter(session_id=session_id).count() == 2


def test_a_defect_of_a_lane_is_answered_and_the_lane_goes_on(monkeypatch):
    """Nobody waits for ever: not those of the batch, not those after them."""
    monkeypatch.setattr(committer, "LANES", 1)
    monkeypatch.setattr(snapshots, "commit", lambda operations: ["done"] * len(operations))
    attempted = committer._Lane._attempted

    async def one_after_the_other() -> list[Any]:
        monkeypatch.setattr(committer._Lane, "_attempted", raises(ZeroDivisionError()))
        [first] = await asyncio.gather(committer.committed(wish("a")), return_exceptions=True)
        monkeypatch.setattr(committer._Lane, "_attempted", attempted)
        return [first, await committer.committed(wish("b"))]

    [[first, second]] = run(one_after_the_other())
    assert isinstance(first, Internal)
    assert second == "done"


def test_a_full_inbox_refuses_at_once(monkeypatch):
    """Nobody waits for an answer that would come too late."""
    monkeypatch.setattr(committer, "MOST_WAITING", 3)
    monkeypatch.setattr(snapshots, "commit", lambda operations: ["done"] * len(operations))

    found = run(*[committer.committed(wish("a")) for _ in range(20)])
    assert found[0] == "done"
    assert isinstance(found[-1], DatabaseUnavailable)


def test_stop_finishes_what_was_queued(monkeypatch):
    """DEV-69: started writes are committed and answered."""
    monkeypatch.setattr(snapshots, "commit", lambda operations: [operation.session_id for operation in operations])

    async def write_and_stop() -> list[Any]:
        waiting = [asyncio.ensure_future(committer.committed(wish(f"s{number}"))) for number in range(20)]
        await asyncio.sleep(0)
        await committer.stop()
        return [await one for one in waiting]

    assert asyncio.run(write_and_stop()) == [f"s{number}" for number in range(20)]


def test_a_caller_that_left_disturbs_nobody(monkeypatch):
    """It is gone; the lane goes on."""
    started, go = threading.Event(), threading.Event()

    def commit(operations: Any) -> Any:
        started.set()
        go.wait(5)
        return ["done"] * len(operations)

    monkeypatch.setattr(snapshots, "commit", commit)
    monkeypatch.setattr(committer, "LANES", 1)

    async def leave() -> Any:
        waiting = asyncio.ensure_future(committer.committed(wish("a")))
        await asyncio.to_thread(started.wait, 5)
        waiting.cancel()
        go.set()
        return await committer.committed(wish("b"))

    assert run(leave()) == ["done"]


def _cut_the_lanes() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE %s",
            ["\nWITH made AS%"],
        )
    connection.close()


def raises(error: Exception) -> Any:
    def raising(*arguments: Any) -> Any:
        raise error

    return raising
