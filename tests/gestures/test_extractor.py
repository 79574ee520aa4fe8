"""Worker processes near and far: warm, fresh for each capture, replaced, gone with their peer (GES-30 to GES-36)."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gestures import errors, extractor, layout, worker
from gestures.extraction import child, framing, pool
from gestures.extraction.framing import Kind
from gestures.extraction.host import Host
from gestures.extraction.pool import Pool
from gestures.extraction.remote import Remote
from gestures.extractor import Lease
from gestures.machine import moves
from tests.captures import make_jpeg, make_jpegs
from tests.processes import free_port


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition, seconds=8):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        await asyncio.sleep(0.02)
    assert condition()


def run(scenario, *, size=1, backend="fake"):
    """Play `scenario(pool)` with workers of its own."""

    async def main():
        found = Pool(size=size, backend=backend)
        found.start()
        try:
            await scenario(found)
        finally:
            await found.stop()
            await asyncio.sleep(0.05)
        assert found.counts()["ready"] + found.counts()["taken"] == 0

    uvloop.run(main())


class Ear:
    """What a lease reports."""

    def __init__(self):
        self.events: list[moves.Event] = []
        self.lease = Lease(self.events.append)

    def kinds(self):
        return [type(event).__name__ for event in self.events]

    def error(self):
        return next((event.error.code for event in self.events if isinstance(event, moves.Failed)), None)


async def extract(source, jpegs, size=(64, 64)):
    """One whole capture; returns its rows."""
    ear = Ear()
    await ear.lease.begin(source, *size)
    for jpeg in jpegs:
        ear.lease.forward(jpeg)
    ear.lease.finish()
    await until(lambda: moves.RowsDone() in ear.events)
    rows, name = bytes(ear.lease.rows), ear.lease.layout
    ear.lease.discard()
    return rows, name


def pid_of(source):
    return [one._transport.get_pid() for one in source._workers]


def test_rows_come_back_in_order_one_per_frame():
    """GES-32; the layout is the worker's word."""

    async def scenario(source):
        jpegs = make_jpegs(4)
        rows, name = await extract(source, jpegs)
        assert (len(rows), name) == (4 * 4 * layout.DIMS, "fake_landmarks_v1")
        again, _ = await extract(source, jpegs[::-1])
        width = 4 * layout.DIMS
        assert again == b"".join(rows[at : at + width] for at in range(3 * width, -1, -width))

    run(scenario)


def test_an_open_waits_for_a_worker_on_its_way_and_no_longer():
    """GES-30: one capture at a time; starting is waited for, taken is busy at once."""

    async def scenario(source):
        first = Ear()
        await first.lease.begin(source, 64, 64)
        with pytest.raises(errors.ExtractorBusy):
            await Ear().lease.begin(source, 64, 64)
        first.lease.discard()
        second = Ear()
        await second.lease.begin(source, 64, 64)
        second.lease.discard()

    run(scenario)


def test_an_abort_overtakes_the_frames_before_it():
    """GES-34: what nobody wants is not extracted."""
    inbox = worker.Inbox()
    for kind in (Kind.OPEN, Kind.FRAME, Kind.FRAME, Kind.ABORT):
        inbox.put(kind, b"")
    assert [inbox.take()[0] for _ in range(2)] == [Kind.OPEN, Kind.ABORT]


def test_a_discarded_lease_reports_nothing_more_and_frees_the_worker():
    """GES-34: exactly one terminal message."""

    async def scenario(source):
        ear = Ear()
        await ear.lease.begin(source, 64, 64)
        for jpeg in make_jpegs(30):
            ear.lease.forward(jpeg)
        ear.lease.discard()
        heard = len(ear.events)
        ear.lease.discard()
        await until(lambda: source.counts()["ready"] == 1)
        assert len(ear.events) == heard

    run(scenario)


def test_a_bad_frame_ends_the_capture_and_not_the_worker():
    """GES-35."""

    async def scenario(source):
        before = pid_of(source)
        ear = Ear()
        await ear.lease.begin(source, 64, 64)
        before = pid_of(source)
        ear.lease.forward(make_jpeg(size=(64, 65)))
        ear.lease.forward(make_jpeg())
        await until(lambda: ear.error())
        assert ear.error() == "FRAME_SIZE_MISMATCH"
        ear.lease.discard()
        await extract(source, make_jpegs(1))
        assert pid_of(source) == before

    run(scenario)


def test_a_killed_worker_fails_its_capture_and_is_replaced():
    """GES-35."""

    async def scenario(source):
        ear = Ear()
        await ear.lease.begin(source, 64, 64)
        (victim,) = pid_of(source)
        os.kill(victim, signal.SIGKILL)
        await until(lambda: ear.error())
        assert ear.error() == "EXTRACTOR_FAILED"
        ear.lease.discard()
        await extract(source, make_jpegs(1))
        assert pid_of(source) != [victim]

    run(scenario)


def test_a_worker_is_replaced_after_fifty_captures(monkeypatch):
    """GES-35; here after none, by a memory allowance it has used up."""

    async def scenario(source):
        await until(lambda: source.counts()["ready"] == 1)
        (first,) = pid_of(source)
        for _ in range(worker.MAX_CAPTURES):
            await extract(source, make_jpegs(1))
        await until(lambda: source.counts()["ready"] == 1 and pid_of(source) != [first])
        assert not alive(first)

    run(scenario)


def test_a_worker_that_does_not_settle_is_killed(monkeypatch):
    """GES-35: it hangs."""
    monkeypatch.setattr(child, "SETTLE_S", 0.3)

    async def scenario(source):
        ear = Ear()
        await ear.lease.begin(source, 64, 64)
        (hung,) = pid_of(source)
        os.kill(hung, signal.SIGSTOP)
        ear.lease.discard()
        await until(lambda: source.counts()["ready"] == 1)
        assert pid_of(source) != [hung]

    run(scenario)


def test_workers_end_with_their_peer():
    """GES-34, GES-35: no pipe, no worker; also when it is in the middle of something."""

    async def scenario(source):
        ear = Ear()
        await ear.lease.begin(source, 64, 64)
        (pid,) = pid_of(source)
        for jpeg in make_jpegs(40):
            ear.lease.forward(jpeg)
        source._stopping = True
        assert alive(pid)
        next(iter(source._workers))._transport.get_pipe_transport(0).abort()
        await until(lambda: not alive(pid))

    run(scenario)


def test_a_worker_dumps_no_core_and_knows_no_secret():
    """GES-35: limits, dumpability and environment of the process."""

    async def scenario(source):
        await until(lambda: source.counts()["ready"] == 1)
        (pid,) = pid_of(source)
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert next(line for line in limits.splitlines() if "core file" in line).split()[4:6] == ["0", "0"]
        # A process that cannot be dumped belongs to root in /proc, whoever runs it; as root only the limit tells.
        names = {entry.split(b"=")[0] for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if entry}
        assert names <= {b"GLOG_minloglevel", b"TF_CPP_MIN_LOG_LEVEL", b"LANG", b"PATH", b"LC_CTYPE"}

    run(scenario)


@pytest.mark.parametrize("fate", ["cancelled", "died"])
def test_a_worker_handed_over_in_vain_is_not_lost(fate):
    """GES-30, GES-35: the visitor left, or the worker died, between the hand-over and the capture."""

    async def main():
        source = Pool(size=0, backend="fake")
        one = child.Worker(source)
        source._workers.add(one)
        reserving = asyncio.create_task(source.reserve(64, 64, lambda kind, payload: None))
        await asyncio.sleep(0)
        source.ready(one)
        if fate == "cancelled":
            reserving.cancel()
        else:
            one.state = child.State.DEAD
        with pytest.raises((asyncio.CancelledError, errors.ExtractorUnavailable)):
            await reserving
        assert one.state is (child.State.READY if fate == "cancelled" else child.State.DEAD)

    uvloop.run(main())


def test_a_broken_library_never_prevents_anything_but_captures(monkeypatch, tmp_path):
    """GES-36: extractor_unavailable, /readyz's word, and a new attempt after a pause."""
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1')\n")
    monkeypatch.setitem(pool._ENVIRONMENT, "PYTHONPATH", str(tmp_path))

    async def scenario(source):
        loop = asyncio.get_running_loop()
        extractor._sources[loop] = source
        try:
            with pytest.raises(errors.ExtractorUnavailable, match=r"libGL\.so\.1"):
                await Ear().lease.begin(source, 64, 64)
            assert extractor.health() == "unavailable"
            assert extractor.warnings()[0].startswith("EXTRACTOR_UNAVAILABLE: ")
            with pytest.raises(errors.ExtractorUnavailable):
                await Ear().lease.begin(source, 64, 64)
            monkeypatch.delitem(pool._ENVIRONMENT, "PYTHONPATH")
            await until(lambda: source.counts()["ready"] == 1)
            assert (extractor.health(), extractor.warnings()) == ("ok", [])
        finally:
            del extractor._sources[loop]

    run(scenario)


def test_a_worker_that_cannot_be_started_is_unavailable(monkeypatch):
    """GES-36."""
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")

    async def scenario(source):
        with pytest.raises(errors.ExtractorUnavailable):
            await Ear().lease.begin(source, 64, 64)

    run(scenario)


def test_answers_out_of_turn_fail_the_capture():
    """GES-32: a row of another length is no row."""
    ear = Ear()
    ear.lease._hear(Kind.ROW, b"short")
    ear.lease._hear(Kind.ERROR, framing.document(error_code="drain_timeout", detail="odd"))
    assert [type(event) for event in ear.events] == [moves.Failed, moves.Failed]
    assert ear.error() == "EXTRACTOR_FAILED"


# Over TCP


def run_remote(scenario, *, size=1, key=b"secret", claimed=b"secret"):
    """Play `scenario(remote, pool)` with an extractor behind a port of its own."""

    async def main():
        workers, port = Pool(size=size, backend="fake"), free_port()
        workers.start()
        server = await asyncio.get_running_loop().create_server(lambda: Host(workers, key), "127.0.0.1", port)
        try:
            await scenario(Remote(host="127.0.0.1", port=port, key=claimed), workers)
        finally:
            server.close()
            await workers.stop()
            await asyncio.sleep(0.05)

    uvloop.run(main())


def test_a_remote_extractor_gives_the_same_rows():
    """GES-31."""
    local = []

    async def here(source):
        local.append(await extract(source, make_jpegs(5)))

    async def there(remote, workers):
        assert await extract(remote, make_jpegs(5)) == local[0]
        await until(lambda: workers.counts()["ready"] == 1)
        assert await extract(remote, make_jpegs(5)) == local[0]

    run(here)
    run_remote(there)


def test_a_remote_extractor_says_when_it_is_busy():
    """GES-31, GES section 4; a visitor that goes away frees its worker."""

    async def scenario(remote, workers):
        first = Ear()
        await first.lease.begin(remote, 64, 64)
        with pytest.raises(errors.ExtractorBusy):
            await Ear().lease.begin(remote, 64, 64)
        visit: Any = first.lease._channel
        visit._transport.abort()
        await until(lambda: first.error())
        assert first.error() == "EXTRACTOR_FAILED"
        await extract(remote, make_jpegs(1))

    run_remote(scenario)


def test_a_remote_worker_that_dies_fails_its_capture():
    """GES-35, over TCP."""

    async def scenario(remote, workers):
        ear = Ear()
        await ear.lease.begin(remote, 64, 64)
        os.kill(pid_of(workers)[0], signal.SIGKILL)
        await until(lambda: ear.error())
        assert ear.error() == "EXTRACTOR_FAILED"
        ear.lease.discard()

    run_remote(scenario)


def test_without_the_key_nobody_is_served():
    """GES-31: the shared secret is proved, never sent."""

    async def scenario(remote, workers):
        with pytest.raises(errors.ExtractorUnavailable):
            await Ear().lease.begin(remote, 64, 64)
        assert workers.counts()["taken"] == 0
        assert remote.broken

    run_remote(scenario, claimed=b"guess")


def test_a_second_extractor_behind_the_address_is_tried():
    """GES-29: one that hangs up before a frame was forwarded costs the capture nothing."""

    async def main():
        workers, port = Pool(size=1, backend="fake"), free_port()
        seen: list[asyncio.Protocol] = []

        def answer():
            seen.append(Host(workers, b"secret") if seen else Deaf())
            return seen[-1]

        server = await asyncio.get_running_loop().create_server(answer, "127.0.0.1", port)
        try:
            rows, _ = await extract(Remote(host="127.0.0.1", port=port, key=b"secret"), make_jpegs(2))
            assert (len(rows), len(seen)) == (2 * 4 * layout.DIMS, 2)
        finally:
            server.close()
            await workers.stop()

    uvloop.run(main())


class Deaf(asyncio.Protocol):
    """Hangs up at once."""

    def connection_made(self, transport):
        transport.abort()


def test_an_address_without_an_extractor_is_unavailable():
    """GES-36: a capture is told so, and /readyz knows it before one asks."""

    async def main():
        remote = Remote(host="127.0.0.1", port=free_port(), key=b"k")
        remote.start()
        await until(lambda: remote.broken)
        with pytest.raises(errors.ExtractorUnavailable):
            await Ear().lease.begin(remote, 64, 64)
        await remote.stop()

    uvloop.run(main())


@pytest.mark.parametrize(
    "messages",
    [
        framing.pack(Kind.FRAME, b"x"),
        b"\xff" * 20,
        framing.pack(Kind.OPEN, b"{}"),
        framing.pack(Kind.OPEN, framing.document(proof="é")),
    ],
)
def test_a_visitor_that_breaks_the_protocol_is_cut_off(messages):
    """GES-31, GES-32."""

    async def scenario(remote, workers):
        reader, writer = await asyncio.open_connection("127.0.0.1", remote._port)
        await reader.readexactly(5)
        writer.write(messages)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await asyncio.wait_for(reader.readexactly(1_000_000), 3)
        assert workers.counts()["taken"] == 0
        writer.close()

    run_remote(scenario)


def test_a_visitor_may_not_outrun_the_forward_queue():
    """GES-33, held on the far side too."""

    async def scenario(remote, workers):
        ear = Ear()
        await ear.lease.begin(remote, 64, 64)
        os.kill(pid_of(workers)[0], signal.SIGSTOP)
        for _ in range(46):
            ear.lease.forward(make_jpeg())
        await until(lambda: ear.error())
        assert ear.error() == "EXTRACTOR_FAILED"
        ear.lease.discard()

    run_remote(scenario)
