"""routing/pods.py, chat.py and what a worker does to the rows (POD sections 3 to 5, 7), verb by verb."""

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from routing import chat, inbox, pods
from routing.chat import Delivery, NothingDue
from routing.models import ChatMessage, Pod, Worker
from routing.pod import pod_endings, pod_moves, processes, reaper, tending, workers
from routing.pod.outcomes import Answered, Dead, NotHanded, Retry
from routing.pod.pod_moves import Overtaken
from sessions_app import clock, redisdoor, sessions
from sessions_app.errors import DatabaseUnavailable, RecorderUnavailable
from sessions_app.models import Session
from tests.factories import make_caller, make_session
from tests.logs import events

U1 = make_caller("u1")
GONE = 2**22 - 1  # no pid of this machine


def make_pod(**over: Any) -> Pod:
    """A session of u1 with a pod in any state."""
    pod = pods.create(user_id="u1", by=U1).pod
    Pod.objects.filter(pk=pod.pk).update(**over)
    return Pod.objects.get(pk=pod.pk)


def make_worker(**over: Any) -> Worker:
    """A worker of this very process."""
    worker = workers.register()
    Worker.objects.filter(pk=worker.pk).update(**over)
    return Worker.objects.get(pk=worker.pk)


def make_served(worker: Worker, **over: Any) -> Pod:
    """A running pod of that worker."""
    return make_pod(state="running", desired="awake", worker=worker, **over)


def claimed(pod: Pod) -> Delivery:
    assert pod.worker_id is not None
    found = chat.claim(pod.pk, session_id=pod.session_id, worker_id=pod.worker_id)
    assert isinstance(found, Delivery)
    return found


@pytest.fixture
def worker(db: None) -> Worker:
    return make_worker()


def test_move_is_compare_and_set(db: None) -> None:
    """POD-32: the loser re-reads; each change has its row and raises the generation by one."""
    pod = make_pod()
    other = Pod.objects.select_related("session").get(pk=pod.pk)
    pod_moves.move(pod, "waking", reason="wake_requested")
    with pytest.raises(Overtaken):
        pod_moves.move(other, "waking", reason="wake_requested")
    with pytest.raises(Overtaken):
        pod_moves.move(pod, "sleeping", reason="drained")
    pod.refresh_from_db()
    assert (pod.generation, pod.wake_generation, pod.state) == (1, 1, "waking")
    assert [one.reason for one in pod.transitions.order_by("pk")] == ["created", "wake_requested"]


def test_a_change_that_cannot_be_recorded_is_undone(db: None, monkeypatch: Any) -> None:
    """POD-40."""
    pod = make_pod(state="waking")
    monkeypatch.setattr("sessions_app.eventlog.os.fsync", _fails)
    with pytest.raises(RecorderUnavailable):
        tending.failed(pod.pk, reason="start_failed")
    pod.refresh_from_db()
    assert pod.state == "waking"
    assert pod.transitions.count() == 1


def test_claim_leases_the_lowest_seq(worker: Worker) -> None:
    """POD-33, POD-35: one in flight; the next only once that is settled."""
    pod = make_served(worker)
    first, second = (chat.accept(pod.session_id, text=text, by=U1).message for text in ("a", "b"))
    delivery = claimed(pod)
    assert (delivery.message.message_id, delivery.message.attempts) == (first.pk, 1)
    waiting = chat.claim(pod.pk, session_id=pod.session_id, worker_id=worker.pk)
    assert isinstance(waiting, NothingDue)
    assert waiting.until == delivery.lease_until
    assert not chat.settle(delivery, Answered("{}"))
    assert claimed(pod).message.message_id == second.pk


def synced() -> str:
    """Whether the commit of this transaction would wait for the disk."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        return str(cursor.fetchone()[0])


def written_without_sync() -> str:
    """Write something whose commit does not wait for the disk; where that ends."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = 'off'")
        cursor.execute("SELECT pg_logical_emit_message(true, 'test', repeat('x', 100))")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_insert_lsn()")
        return str(cursor.fetchone()[0])


def is_on_disk(place: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_flush_lsn() >= %s::pg_lsn", [place])
        return bool(cursor.fetchone()[0])


@pytest.fixture
def with_sync(transactional_db: None) -> Iterator[None]:
    """Commits of this connection wait for the disk, as everywhere but in tests."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = 'on'")
        yield
        cursor.execute("RESET synchronous_commit")


def test_only_a_message_that_is_waited_for_is_on_the_disk_later(with_sync: None) -> None:
    """POD-20, POD-34: of the others the client hears at once."""
    pod = make_served(make_worker())
    with transaction.atomic():
        assert chat.accept(pod.session_id, text="a", by=U1).may_wait
        assert synced() == "off"
    assert synced() == "on"
    with transaction.atomic():
        assert not chat.accept(pod.session_id, text="b", by=U1).may_wait
        assert synced() == "on"


def test_what_is_told_without_an_outcome_is_on_the_disk(with_sync: None) -> None:
    """POD-18, POD-21: a repeated request and a poll tell of a message that may not be there yet."""
    pod = make_served(make_worker())
    chat.accept(pod.session_id, text="a", by=U1, key="k1")
    for _ in range(20):
        place = written_without_sync()
        assert chat.accept(pod.session_id, text="a", by=U1, key="k1").replayed
        assert is_on_disk(place)
        place = written_without_sync()
        assert chat.after(pod, cursor=0, limit=9)[0]
        assert is_on_disk(place)


def test_a_message_that_a_crash_has_forgotten_is_let_go(worker: Worker) -> None:
    """POD-35: the pod may have had it before PostgreSQL lost it; who waits is told to try again."""
    pod = make_served(worker)
    message = chat.accept(pod.session_id, text="a", by=U1).message
    delivery = claimed(pod)
    ChatMessage.objects.all().delete()
    assert not chat.settle(delivery, Answered("{}"))
    with pytest.raises(DatabaseUnavailable):
        chat.again(message)


def test_claim_is_the_owners_alone(worker: Worker) -> None:
    """POD-53, and only while the pod serves."""
    pod = make_served(worker)
    chat.accept(pod.session_id, text="a", by=U1)
    stranger = chat.claim(pod.pk, session_id=pod.session_id, worker_id=uuid.uuid4())
    assert stranger == NothingDue()
    Pod.objects.update(state="waking")
    assert chat.claim(pod.pk, session_id=pod.session_id, worker_id=worker.pk) == NothingDue()


def test_settle_says_whether_all_is_done(worker: Worker) -> None:
    """A calm pod needs no further look."""
    pod = make_served(worker)
    chat.accept(pod.session_id, text="a", by=U1)
    assert chat.settle(claimed(pod), Answered('{"reply":"x"}'))
    calm = chat.claim(pod.pk, session_id=pod.session_id, worker_id=worker.pk)
    assert calm == NothingDue(until=None, is_calm=True)
    message = ChatMessage.objects.get()
    assert (message.status, message.response, message.cursor) == ("answered", '{"reply":"x"}', 2)
    assert [event["event"] for event in events("u1", pod.session_id)][-2:] == ["chat.accepted", "chat.answered"]


def test_a_chat_is_activity_of_its_session(worker: Worker) -> None:
    """SES-54: a session in which people only chat is not idle; nor is it when the answer comes late."""
    pod, long_ago = make_served(worker), clock.now() - dt.timedelta(hours=1)
    Session.objects.update(last_activity_at=long_ago)
    chat.accept(pod.session_id, text="a", by=U1)
    assert clock.seconds_since(Session.objects.get().last_activity_at) < 60
    Session.objects.update(last_activity_at=long_ago)
    chat.settle(claimed(pod), Answered("{}"))
    assert clock.seconds_since(Session.objects.get().last_activity_at) < 60


def test_a_late_outcome_counts_while_nothing_is_settled(worker: Worker, settings: Any) -> None:
    """POD-35: a lost lease's answer is stored; its failure is not, and neither is a second answer."""
    settings.POD_CHAT_TIMEOUT_S = -60
    pod = make_served(worker)
    chat.accept(pod.session_id, text="a", by=U1)
    first, second = claimed(pod), claimed(pod)
    chat.settle(first, Retry("late"))
    assert ChatMessage.objects.get().status == "delivering"
    chat.settle(first, Answered('{"late":true}'))
    chat.settle(second, Answered('{"late":false}'))
    assert ChatMessage.objects.get().response == '{"late":true}'
    assert Pod.objects.get().unsettled == 0


def test_retries_wait_longer_each_time(worker: Worker, settings: Any, monkeypatch: Any) -> None:
    """POD-33: 1, 2, 4, 8 s, or what the pod says; after attempt 5 dead."""
    pod = make_served(worker)
    chat.accept(pod.session_id, text="a", by=U1)
    waits = []
    for retry_after_s in (None, None, None, 7):
        chat.settle(claimed(pod), Retry("The pod answered 500.", 500, retry_after_s))
        message = ChatMessage.objects.get()
        waits.append(round((message.next_attempt_at - clock.now()).total_seconds()))
        ChatMessage.objects.update(next_attempt_at=clock.now())
    assert waits == [1, 2, 4, 7]
    chat.settle(claimed(pod), Retry("The pod answered 500.", 500))
    message = ChatMessage.objects.get()
    assert (message.status, message.error_code, message.pod_status, message.attempts) == ("dead", "POD_FAILED", 500, 5)


def test_what_was_not_handed_over_is_no_attempt(worker: Worker) -> None:
    """POD-33: connection refused."""
    pod = make_served(worker)
    chat.accept(pod.session_id, text="a", by=U1)
    chat.settle(claimed(pod), NotHanded())
    message = ChatMessage.objects.get()
    assert (message.status, message.attempts, message.failures) == ("queued", 0, 0)


def test_a_message_that_dies_unblocks_the_next(worker: Worker) -> None:
    """POD-33; POD-40: with its reason."""
    pod = make_served(worker)
    for text in ("a", "b"):
        chat.accept(pod.session_id, text=text, by=U1)
    chat.settle(claimed(pod), Dead("POD_REJECTED", "The pod answered 400.", 400))
    assert claimed(pod).message.text == "b"
    dead = events("u1", pod.session_id)[-1]
    assert (dead["event"], dead["reason"], dead["attempts"]) == ("chat.dead", "POD_REJECTED", 1)


def test_slots_are_given_first_come_first_served(worker: Worker, settings: Any) -> None:
    """POD-52: further sessions stay waking, their timeout not running."""
    settings.LOCAL_PODS_MAX = 1
    first, second = (make_pod(state="waking") for _ in range(2))
    assert tending.take(second.pk, worker_id=worker.pk) is None
    taken = tending.take(first.pk, worker_id=worker.pk)
    assert taken is not None
    assert taken.worker_id == worker.pk
    assert tending.take(second.pk, worker_id=worker.pk) is None
    assert Pod.objects.get(pk=second.pk).backend_since is None
    tending.release(first.pk)
    Pod.objects.filter(pk=first.pk).update(state="sleeping")
    assert tending.take(second.pk, worker_id=worker.pk) is not None


def test_failed_pod_is_tried_again_while_messages_wait(worker: Worker) -> None:
    """POD-32: after 5, 15, 60, then every 300 s."""
    pod = make_pod()
    chat.accept(pod.session_id, text="a", by=U1)
    waits = []
    for _ in range(5):
        tending.failed(pod.pk, reason="start_timeout")
        pod.refresh_from_db()
        waits.append(round((pod.retry_at - clock.now()).total_seconds()))  # type: ignore[operator]
        assert not tending.retry(pod.pk)
        Pod.objects.update(retry_at=clock.now())
        assert pod in tending.candidates(worker.pk)
        assert tending.retry(pod.pk)
    assert waits == [5, 15, 60, 300, 300]
    assert tending.ready(pod.pk)
    assert Pod.objects.get().failures == 0


def test_failed_pod_without_messages_stays_failed(worker: Worker) -> None:
    """POD-32."""
    pod = make_pod(state="waking")
    tending.failed(pod.pk, reason="start_failed", output="last words")
    Pod.objects.update(retry_at=clock.now())
    assert not tending.retry(pod.pk)
    assert pod not in tending.candidates(worker.pk)
    assert Pod.objects.get().last_output == "last words"


@pytest.mark.parametrize(
    ("state", "pending", "reasons"),
    [
        ("running", True, ["pod_lost"]),
        ("running", False, ["pod_lost", "sleep_requested"]),
        ("draining", True, ["message_queued", "pod_lost"]),
        ("draining", False, ["drained"]),
        ("waking", False, []),
    ],
)
def test_what_a_dead_worker_leaves_wakes_or_sleeps(db: None, state: str, pending: bool, reasons: list[str]) -> None:
    """POD-50: by what is pending."""
    dead = make_worker(pid=GONE, pid_start=1)
    pod = make_served(dead, pid=GONE, pid_start=1)
    if pending:
        chat.accept(pod.session_id, text="a", by=U1)
        claimed(pod)
    Pod.objects.update(state=state)
    assert [act.reason for act in reaper.dead_workers(True)] == ["worker_died"]
    assert workers.bury_dead() == [pod.session_id]
    pod.refresh_from_db()
    assert (pod.worker, pod.pid, pod.backend_since) == (None, None, None)
    assert [one.reason for one in pod.transitions.order_by("pk")][1:] == reasons
    assert not ChatMessage.objects.filter(status="delivering").exists()
    assert not Worker.objects.exists()


def test_a_leftover_is_killed_only_if_it_is_the_same_process(db: None, monkeypatch: Any) -> None:
    """POD-50: pid and start time."""
    signalled: list[int] = []
    monkeypatch.setattr(processes, "signal_group", lambda pid, number: signalled.append(pid))
    monkeypatch.setattr(processes, "start_time", lambda pid: 7)
    assert processes.kill_leftover(4711, 7)
    assert not processes.kill_leftover(4711, 8)
    assert signalled == [4711]


def test_a_worker_is_dead_by_its_heartbeat(worker: Worker) -> None:
    """POD-53: 15 s; another machine's pids mean nothing here."""
    assert workers.is_any_alive()
    assert not workers.is_dead(worker)
    elsewhere = make_worker(machine="elsewhere", pid=GONE)
    assert not workers.is_dead(elsewhere)
    old = make_worker(machine="elsewhere", heartbeat_at="2020-01-01T00:00:00Z")
    assert workers.is_dead(old)
    assert workers.beat(worker.pk)
    Worker.objects.all().delete()
    assert not workers.beat(worker.pk)


def test_settle_down_sends_an_idle_pod_to_sleep(worker: Worker, settings: Any) -> None:
    """POD-52: not sooner, and never with something pending."""
    settings.POD_IDLE_SLEEP_S = 60
    pod = make_served(worker, last_work_at=clock.now())
    due = tending.settle_down(pod.pk)
    assert due is not None
    assert 58 < (due - clock.now()).total_seconds() <= 60
    settings.POD_IDLE_SLEEP_S = 0
    chat.accept(pod.session_id, text="a", by=U1)
    tending.settle_down(pod.pk)
    assert Pod.objects.get().state == "running"
    chat.settle(claimed(pod), Answered("{}"))
    for state in ("draining", "sleeping"):
        tending.settle_down(pod.pk)
        assert Pod.objects.get().state == state


def test_lists_are_mended_from_the_rows(worker: Worker) -> None:
    """POD-37, POD-38: a dry run changes nothing; a second run finds nothing."""
    pod = make_served(worker)
    message = chat.accept(pod.session_id, text="a", by=U1).message
    redisdoor.call("rpush", f"baton:queue:{pod.session_id}", "stray")
    found = [act for act in reaper.lists(dry_run=True) if act.session_id == pod.session_id]
    assert [(act.act, act.reason) for act in found] == [("repair", "list_differs")]
    assert any(act.session_id == pod.session_id for act in reaper.lists())
    assert redisdoor.call("lrange", f"baton:queue:{pod.session_id}", 0, -1) == [str(message.pk).encode()]
    assert not any(act.session_id == pod.session_id for act in reaper.lists())
    inbox.forget(pod.session_id)


def test_ended_sessions_lose_their_pods(db: None) -> None:
    """POD-29: without a second end event; 404 from the moment it is closed."""
    session = make_session("u1")
    pods.create(user_id="u1", by=U1, session_id=session.session_id)
    chat.accept(session.session_id, text="a", by=U1)
    sessions.end(session.session_id, user_id="u1", performer_id="u1", by=U1)
    (act,) = reaper.ended()
    assert (act.act, act.reason) == ("terminate", "session_ended")
    assert Pod.objects.get().state == "terminated"
    assert ChatMessage.objects.get().error_code == "SESSION_TERMINATED"
    assert [event["event"] for event in events("u1", session.session_id)].count("session.end") == 1
    assert list(reaper.ended()) == []


def test_expired_pods_end_by_how_they_began(db: None, settings: Any) -> None:
    """POD-43: a session that create opened is closed, one it attached to stays open."""
    opened = make_pod()
    attached = make_session("u1")
    pods.create(user_id="u1", by=U1, session_id=attached.session_id)
    settings.SESSION_TTL = 0
    assert {act.session_id for act in reaper.expired()} == {opened.session_id, attached.session_id}
    assert {pod.state for pod in Pod.objects.all()} == {"terminated"}
    assert Session.objects.get(pk=opened.session_id).end_reason == "timeout"
    assert Session.objects.get(pk=attached.session_id).is_active


def test_expiry_gives_way_to_a_message(db: None, settings: Any) -> None:
    """POD-42: one that comes between the look and the lock."""
    pod = make_pod()
    chat.accept(pod.session_id, text="a", by=U1)
    settings.SESSION_TTL = 0
    pod_endings.begin_end(pod.session_id, reason="expired", end_reason="timeout")
    assert Pod.objects.get().state == "waking"
    assert Session.objects.get().is_active


def test_old_messages_are_erased(db: None, settings: Any) -> None:
    """POD-29: CHAT_RETENTION_S after the end."""
    pod = make_pod()
    chat.accept(pod.session_id, text="a", by=U1)
    pod_endings.end(pod.session_id, by=U1)
    assert list(reaper.retention()) == []
    settings.CHAT_RETENTION_S = 0
    assert [act.reason for act in reaper.retention(dry_run=True)] == ["retention"]
    assert [act.reason for act in reaper.retention()] == ["retention"]
    assert not ChatMessage.objects.exists()
    assert list(reaper.retention()) == []


def test_leases_of_nobody_are_freed(worker: Worker, settings: Any) -> None:
    """POD-70."""
    settings.POD_CHAT_TIMEOUT_S = -60
    pod = make_served(worker)
    chat.accept(pod.session_id, text="a", by=U1)
    claimed(pod)
    assert [act.reason for act in reaper.leases()] == ["lease_expired"]
    assert ChatMessage.objects.get().status == "queued"


def test_cleanup_tells_each_act(db: None, settings: Any, capsys: Any) -> None:
    """POD-69, POD-71, POD-72."""
    pod = make_pod()
    stray = "sess_00000000000000ee"
    redisdoor.call("rpush", f"baton:inflight:{stray}", "x")
    redisdoor.call("rpush", "baton:queue:ghost", "x")
    settings.SESSION_TTL = 0
    call_command("cleanup_pods", "--dry-run")
    told = capsys.readouterr().out.splitlines()
    assert f"would-expire {pod.session_id} expired" in told
    assert f"would-remove {stray} redis_keys" in told
    assert "would-remove ghost redis_keys" in told
    call_command("cleanup_pods")
    told = capsys.readouterr().out.splitlines()
    assert f"expire {pod.session_id} expired" in told
    assert told[-1] == "expired=1 terminated=0 orphans=2 repaired=0 failed=0"
    call_command("cleanup_pods")
    assert capsys.readouterr().out == "expired=0 terminated=0 orphans=0 repaired=0 failed=0\n"


def test_cleanup_that_fails_exits_1(db: None, settings: Any, monkeypatch: Any, capsys: Any) -> None:
    """POD-69."""
    pod = make_pod()
    settings.SESSION_TTL = 0
    monkeypatch.setattr("sessions_app.eventlog.os.fsync", _fails)
    with pytest.raises(SystemExit) as exited:
        call_command("cleanup_pods")
    assert exited.value.code == 1
    assert f"failed {pod.session_id} expired" in capsys.readouterr().out


def _fails(*_: Any) -> None:
    raise OSError("disk full")
