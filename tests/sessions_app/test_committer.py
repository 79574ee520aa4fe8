"""The group committer: many callers, few transactions (STA-64)."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError

from sessions_app import snapshots
from sessions_app.errors import DatabaseUnavailable, Internal
from sessions_app.state import committer
from sessions_app.state.operations import Operation
from sessions_app.state.state_errors import VersionConflict
from sessions_app.state.writes import MergePatch, Update, Write
from tests.factories import make_caller, make_snapshot


@pytest.fixture(autouse=True)
def flushers() -> Iterator[None]:
    """Fresh threads for each test."""
    yield
    committer.stop()


def wish(session_id: str, write: Write | None = None) -> Operation:
    return Operation(session_id=session_id, by=make_caller("u1"), write=write or MergePatch({"n": 1}), user_id="u1")


@pytest.mark.django_db(transaction=True)
def test_commit_from_many_threads_counts_every_write():
    """L1: no version is lost or made twice."""
    ids = [make_snapshot("u1").session_id for _ in range(4)]
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda number: committer.commit(wish(ids[number % 4])), range(80)))

    versions = sorted(
        (outcome.snapshot.session_id, outcome.snapshot.version) for outcome in outcomes if outcome.snapshot
    )
    assert versions == sorted((session_id, version) for session_id in ids for version in range(2, 22))


@pytest.mark.django_db(transaction=True)
def test_commit_gathers_what_waits(monkeypatch):
    """STA-64: while one commit is under way, the next batch forms; none is larger than 64."""
    session_id = make_snapshot("u1").session_id
    sizes, commit, first = [], snapshots.commit_optimistically, threading.Event()

    def counting(operations: Any) -> Any:
        sizes.append(len(operations))
        first.wait(5)
        return commit(operations)

    monkeypatch.setattr(snapshots, "commit_optimistically", counting)

    async def all_at_once() -> None:
        calls = [asyncio.ensure_future(committer.committed(wish(session_id))) for _ in range(150)]
        await asyncio.sleep(0.05)
        first.set()
        await asyncio.gather(*calls)

    asyncio.run(all_at_once())
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


def test_a_failed_commit_refuses_all_of_its_batch(monkeypatch):
    """STA-64: 503 for each, and the next batch is tried again."""
    monkeypatch.setattr(snapshots, "commit", raises(OperationalError("away")))

    async def both() -> list[Any]:
        return await asyncio.gather(*[committer.committed(wish("a")) for _ in range(5)], return_exceptions=True)

    refused = asyncio.run(both())
    assert [type(error) for error in refused] == [DatabaseUnavailable] * 5
    assert {error.retry_after for error in refused} == {1}


def test_a_defect_harms_only_its_own_operation(monkeypatch):
    """One bad operation is found by committing each by itself."""

    def commit(operations: Any) -> Any:
        if any(operation.session_id == "bad" for operation in operations):
            raise ZeroDivisionError
        return [operation.session_id for operation in operations]

    monkeypatch.setattr(snapshots, "commit", commit)
    monkeypatch.setattr(committer, "FLUSHERS", 1)

    async def three() -> list[Any]:
        names = ("good", "bad", "fine")
        return await asyncio.gather(*[committer.committed(wish(name)) for name in names], return_exceptions=True)

    good, bad, fine = asyncio.run(three())
    assert (good, fine) == ("good", "fine")
    assert isinstance(bad, Internal)


def test_a_full_inbox_refuses_at_once(monkeypatch):
    """Nobody waits for an answer that would come too late."""
    held = threading.Event()
    monkeypatch.setattr(committer, "MOST_WAITING", 3)
    monkeypatch.setattr(snapshots, "commit", lambda operations: held.wait(5) and ["done"] * len(operations))

    async def too_many() -> list[Any]:
        calls = [asyncio.ensure_future(committer.committed(wish("a"))) for _ in range(20)]
        await asyncio.sleep(0.05)
        held.set()
        return await asyncio.gather(*calls, return_exceptions=True)

    found = asyncio.run(too_many())
    assert found[0] == "done"
    assert isinstance(found[-1], DatabaseUnavailable)


def test_stop_finishes_what_was_queued(monkeypatch):
    """DEV-69: started writes are committed and answered."""
    done: list[str] = []

    def commit(operations: Any) -> Any:
        done.extend(operation.session_id for operation in operations)
        return ["done"] * len(operations)

    monkeypatch.setattr(snapshots, "commit", commit)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(committer.commit, wish(f"s{number}")) for number in range(20)]
        for future in waiting:
            future.result()
    committer.stop()

    assert sorted(done) == sorted(f"s{number}" for number in range(20))


def test_a_caller_that_left_disturbs_nobody(monkeypatch):
    """Its loop is gone; the flusher goes on."""
    started, go = threading.Event(), threading.Event()

    def commit(operations: Any) -> Any:
        started.set()
        go.wait(5)
        return ["done"] * len(operations)

    monkeypatch.setattr(snapshots, "commit", commit)
    monkeypatch.setattr(committer, "FLUSHERS", 1)

    async def leave() -> None:
        waiting = asyncio.ensure_future(committer.committed(wish("a")))
        await asyncio.to_thread(started.wait, 5)
        waiting.cancel()

    asyncio.run(leave())
    go.set()
    result: Any = asyncio.run(committer.committed(wish("b")))
    assert result == "done"


def raises(error: Exception) -> Any:
    def raising(*arguments: Any) -> Any:
        raise error

    return raising
