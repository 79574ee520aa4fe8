"""What every driver keeps (POD-76): one suite, row by row of the table.

It runs against `local`, against `kubernetes` with a strict stand-in of its API, and, with `-m cluster` and KUBECONFIG
set, unchanged against a real one.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from routing import inbox
from routing.models import ChatMessage, Pod
from routing.pod import chatstore
from sessions_app import redisdoor
from sessions_app.models import Session
from tests.commands import run
from tests.logs import events
from tests.routing.world import QUICK, WebThread, World, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def web() -> Iterator[WebThread]:
    thread = WebThread()
    yield thread
    thread.stop()


@pytest.fixture(params=["local", "kubernetes", pytest.param("cluster", marks=pytest.mark.cluster)])
def world(request: Any, tmp_path: Path, settings: Any, monkeypatch: Any, web: WebThread) -> Iterator[World]:
    """Baton with one worker."""
    for module, name, value in QUICK:
        monkeypatch.setattr(module, name, value)
    for limit in ("CREATE", "WAKE", "CHAT", "DELETE", "SLEEP", "READ"):
        setattr(settings, f"RATE_POD_{limit}", "")
    settings.POD_CHAT_TIMEOUT_S, settings.CHAT_WAIT_S = 5, 3
    found = World(request.param, tmp_path, settings, web)
    found.start_worker()
    try:
        yield found
    finally:
        found.close()
    code, out = run("replay_session", "--all")
    assert code == 0, out


def test_first_chat_wakes_and_the_next_is_answered_at_once(world: World) -> None:
    """POD-76 row 1; POD-11, POD-16, POD-17, POD-22."""
    session_id = world.create()
    assert world.status(session_id)["replicas"] == 0

    first = world.chat(session_id)
    assert (first.status_code, first.json()["status"], first.json()["position"]) == (202, "queued", 1)
    (answered,) = world.settled(session_id)
    second = world.chat(session_id, "again")

    assert (answered["seq"], answered["status"], answered["attempts"]) == (1, "answered", 1)
    assert answered["pod_response"] == {"reply": "Echo: Hello", "seq": 1}
    assert (second.status_code, second.json()["status"]) == (200, "processed")
    assert second.json()["pod_response"] == {"reply": "Echo: again", "seq": 2}
    assert world.status(session_id)["replicas"] == 1
    assert world.reasons(session_id) == ["created:created", "waking:message_queued", "running:pod_ready"]


def test_pod_is_called_as_the_contract_says(world: World) -> None:
    """POD-45: body and headers, and nothing of the client's own."""
    session_id = world.awake()
    message_id = world.chat(session_id).json()["message_id"]
    (call,) = world.pods.calls(session_id)
    headers = {name.lower(): value for name, value in call["headers"].items()}
    assert call["body"] == {
        "message": "Hello", "message_id": message_id, "session_id": session_id, "user_id": "u1", "seq": 1, "attempt": 1,
    }  # fmt: skip
    assert (headers["x-session-id"], headers["x-user-id"]) == (session_id, "u1")
    assert (headers["x-message-id"], headers["x-attempt"]) == (message_id, "1")
    assert (headers["content-type"], headers["accept"]) == ("application/json", "application/json")
    assert ("x-pod-token" in headers) == (world.driver == "local")
    assert "authorization" not in headers


def test_one_key_is_one_message(world: World) -> None:
    """POD-76 row 2; POD-18."""
    session_id = world.awake()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: world.chat(session_id, **{"Idempotency-Key": "k1"}), range(4)))
    assert len({answer.json()["message_id"] for answer in answers}) == 1
    assert sorted(answer.headers.get("Idempotent-Replayed", "") for answer in answers) == ["", "true", "true", "true"]
    world.settled(session_id)
    replayed = world.chat(session_id, **{"Idempotency-Key": "k1"})
    assert (replayed.status_code, replayed.headers["Idempotent-Replayed"]) == (200, "true")
    assert world.chat(session_id, "other", **{"Idempotency-Key": "k1"}).json()["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert len(world.pods.calls(session_id)) == 1


def test_waiting_chat_is_told_its_answer(world: World, monkeypatch: Any) -> None:
    """POD-16, POD-46: what news carries is the answer to the letter."""
    session_id = world.awake()
    with monkeypatch.context() as patched:
        patched.setattr("routing.chat.again", lambda message: message)  # the row never shows it
        world.pods.script(session_id, {"body": '{"reply":  "été", "n": 1.10}'})
        told = world.chat(session_id)
    assert (told.status_code, told.json()["status"]) == (200, "processed")
    assert '"pod_response":{"reply":  "été", "n": 1.10}' in told.text

    long = '{"reply": "' + "x" * inbox.MOST_TOLD_CHARACTERS + '"}'
    world.pods.script(session_id, {"body": long})
    looked = world.chat(session_id)
    assert (looked.status_code, looked.json().keys()) == (200, told.json().keys())
    assert long in looked.text


def test_who_has_waited_in_vain_is_told_of_what_is_on_the_disk(world: World, settings: Any, monkeypatch: Any) -> None:
    """POD-17, POD-20, POD-34: the 202 of a message whose commit did not wait comes after one that did."""
    session_id, keep = world.awake(), chatstore.keep
    kept: list[None] = []
    monkeypatch.setattr(chatstore, "keep", lambda: kept.append(keep()))
    settings.CHAT_WAIT_S = 0.3
    world.pods.script(session_id, {"wait_s": 1})
    assert world.chat(session_id).status_code == 202
    assert len(kept) == 1
    assert world.settled(session_id)[0]["status"] == "answered"


def test_twenty_chats_while_asleep_keep_their_order(world: World) -> None:
    """POD-76 row 3; POD-33."""
    session_id = world.create()
    for number in range(20):
        assert world.chat(session_id, f"m{number}").status_code in (200, 202)
    messages = world.settled(session_id, 20)
    assert [one["message"] for one in messages] == [f"m{number}" for number in range(20)]
    assert [call["body"]["seq"] for call in world.pods.calls(session_id)] == list(range(1, 21))
    whats = [line["what"] for line in world.pods.lines(session_id) if line["what"] != "start"]
    assert whats == ["begin", "end"] * 20  # never two at a time


def test_failing_pod_is_tried_again(world: World) -> None:
    """POD-76 row 4; POD-33."""
    session_id = world.awake()
    world.pods.script(session_id, {"status": 500}, {"status": 500, "headers": {"Retry-After": "0"}})
    answer = world.chat(session_id)
    assert answer.status_code == 200
    (message,) = world.settled(session_id)
    calls = world.pods.calls(session_id)
    assert (message["attempts"], [call["body"]["attempt"] for call in calls]) == (3, [1, 2, 3])
    assert {call["body"]["message_id"] for call in calls} == {message["message_id"]}


def test_refused_message_dies_at_once_and_the_next_is_delivered(world: World) -> None:
    """POD-76 row 5; POD-19, POD-33."""
    session_id = world.awake()
    world.pods.script(session_id, {"status": 400}, {"body": "no JSON"}, {"status": 204}, {"body": "[1]"})
    answers = [world.chat(session_id) for _ in range(5)]
    codes = [answer.json().get("code") for answer in answers]
    assert codes == ["POD_REJECTED", "POD_BAD_ANSWER", "POD_BAD_ANSWER", "POD_BAD_ANSWER", None]
    assert [answer.status_code for answer in answers] == [502, 502, 502, 502, 200]
    assert answers[0].json()["pod_status"] == 400
    dead = world.settled(session_id, 5)[0]
    assert (dead["message_id"], dead["status"]) == (answers[0].json()["message_id"], "dead")
    assert dead["error"] == {"code": "POD_REJECTED", "detail": "The pod answered 400.", "pod_status": 400}
    assert world.status(session_id)["dead_letters"] == 4


def test_pod_that_always_fails_is_given_up(world: World, settings: Any) -> None:
    """POD-33: after CHAT_MAX_ATTEMPTS."""
    settings.CHAT_MAX_ATTEMPTS = 3
    session_id = world.awake()
    world.pods.script(session_id, *[{"status": 503}] * 3)
    answer = world.chat(session_id)
    assert (answer.status_code, answer.json()["code"], answer.json()["pod_status"]) == (502, "POD_FAILED", 503)
    assert len(world.pods.calls(session_id)) == 3


@pytest.mark.parametrize("when", ["before", "after"])
def test_pod_that_dies_gets_its_message_again(world: World, when: str) -> None:
    """POD-76 row 6; POD-34, POD-51: after its answer the pod may die without harm."""
    session_id = world.awake()
    world.pods.script(session_id, {"die": when})
    world.chat(session_id, "one")
    world.chat(session_id, "two")
    messages = world.settled(session_id, 2)
    assert [one["status"] for one in messages] == ["answered", "answered"]
    assert messages[0]["attempts"] == (2 if when == "before" else 1)
    assert len(world.pods.calls(session_id)) == (3 if when == "before" else 2)
    if world.driver == "local":
        assert "waking:pod_lost" in world.reasons(session_id)


def test_emptied_redis_loses_nothing(world: World) -> None:
    """POD-76 row 6; POD-37."""
    session_id = world.awake()
    world.pods.script(session_id, {"wait_s": 0.5})
    with ThreadPoolExecutor(3) as pool:
        chats = [pool.submit(world.chat, session_id, f"m{number}") for number in range(3)]
        until(lambda: len(ChatMessage.objects.pending()) == 3)
        inbox.forget(session_id)
    assert {chat.result().status_code for chat in chats} <= {200, 202}
    assert [one["status"] for one in world.settled(session_id, 3)] == ["answered"] * 3
    until(lambda: not inbox.sessions_with_lists())


def test_lists_follow_the_rows(world: World) -> None:
    """POD-36 to POD-38: what is in flight, what waits, and a mark for the wake, which goes once KEDA has seen it."""
    session_id = world.create()
    world.pods.script(session_id, {"wait_s": 1})
    first, second = (world.chat(session_id, text).json()["message_id"] for text in ("one", "two"))
    until(lambda: world.status(session_id)["in_flight"])
    queue, in_flight = (redisdoor.call("lrange", f"baton:{name}:{session_id}", 0, -1) for name in ("queue", "inflight"))
    assert queue == [second.encode()]
    assert in_flight[-1] == first.encode()
    assert redisdoor.call("ttl", f"baton:queue:{session_id}") > 86000
    world.settled(session_id, 2)
    until(lambda: not inbox.sessions_with_lists())


def test_chat_during_the_drain_ends_awake(world: World) -> None:
    """POD-76 row 7; POD-15."""
    session_id = world.awake()
    for moment in (0.0, 0.02, 0.1, 0.3):
        calls = len(world.pods.calls(session_id))
        world.pods.script(session_id, {"wait_s": 0.2})
        asked = threading.Thread(target=world.chat, args=(session_id, "before"))
        asked.start()
        until(lambda: len(world.pods.calls(session_id)) > calls)  # noqa: B023  # asked at once
        assert world.http.post(f"/session/{session_id}/sleep").json()["status"] == "sleeping"
        time.sleep(moment)
        world.chat(session_id, "after")
        asked.join()
        until(lambda: not world.status(session_id)["queue_length"])
        world.reaches(session_id, "running")
        assert world.status(session_id)["desired"] == "awake"
    assert {one["status"] for one in world.messages(session_id)} == {"answered"}


def test_sleep_delivers_first(world: World) -> None:
    """POD-15: what was accepted before it."""
    session_id = world.awake()
    world.pods.script(session_id, {"wait_s": 0.3})
    with ThreadPoolExecutor(3) as pool:
        chats = [pool.submit(world.chat, session_id) for _ in range(3)]
        until(lambda: len(ChatMessage.objects.pending()) == 3)
        asleep = world.http.post(f"/session/{session_id}/sleep").json()
    assert (asleep["action"], asleep["message"], asleep["state"]) == ("sleep", "Pod queued for sleep", "draining")
    assert {chat.result().status_code for chat in chats} <= {200, 202}
    world.reaches(session_id, "sleeping")
    assert [one["status"] for one in world.settled(session_id, 3)] == ["answered"] * 3
    assert world.reasons(session_id)[-2:] == ["draining:sleep_requested", "sleeping:drained"]
    until(lambda: world.status(session_id)["replicas"] == 0)


def test_idle_pod_sleeps(world: World, settings: Any) -> None:
    """POD-76 row 8; POD-38, POD-52."""
    settings.POD_IDLE_SLEEP_S = 1
    if world.kube is not None:
        world.kube.cool_down(1.0)
    session_id = world.awake()
    woken_at = time.monotonic()
    pod = world.reaches(session_id, "sleeping")
    assert time.monotonic() - woken_at >= 0.8
    assert pod.reason in ("drained", "scaled_to_zero")
    reasons = world.reasons(session_id)
    assert "draining:idle" in reasons if world.driver == "local" else reasons[-1] == "sleeping:scaled_to_zero"
    assert world.chat(session_id).status_code == 202
    assert world.settled(session_id)[0]["status"] == "answered"


def test_delete_leaves_nothing(world: World) -> None:
    """POD-76 row 9; POD-26, POD-27, POD-29."""
    session_id = world.awake()
    world.pods.script(session_id, {"wait_s": 1})
    asked = threading.Thread(target=world.chat, args=(session_id,))
    asked.start()
    until(lambda: world.status(session_id)["in_flight"])
    pid = Pod.objects.get(session_id=session_id).pid
    answers = [world.http.delete(f"/session/{session_id}") for _ in range(2)]
    asked.join()

    assert [answer.status_code for answer in answers] == [200, 200]
    said = {"uuid": session_id, "status": "terminated", "message": "Session and all resources deleted"}
    assert answers[0].json() == answers[1].json() == said
    for method, path in (("POST", "chat"), ("POST", "wake"), ("POST", "sleep"), ("GET", "status"), ("GET", "messages")):
        body = {"message": "x"} if path == "chat" else None
        gone = world.http.request(method, f"/session/{session_id}/{path}", json=body)
        assert (gone.status_code, gone.json()["code"]) == (404, "SESSION_NOT_FOUND")
    assert not inbox.sessions_with_lists()
    assert pid is None or not Path(f"/proc/{pid}").exists()
    if world.kube is not None:
        assert not world.kube.objects
    ends = [event for event in events("u1", session_id) if event["event"] == "session.end"]
    assert [(event["end_reason"], event["performer_id"]) for event in ends] == [("deleted", "u1")]
    assert ChatMessage.objects.get().error_code == "SESSION_TERMINATED"


@pytest.mark.parametrize("world", ["kubernetes", pytest.param("wire", marks=pytest.mark.cluster)], indirect=True)
def test_cluster_stopped_and_started_in_the_middle(world: World) -> None:
    """POD-76 rows 9 and 10; POD-13, POD-20, POD-24, POD-28: what was begun is finished once the cluster is back."""
    asleep, doomed = world.create(), world.awake()
    world.cut()
    created = world.http.post("/session/create", json={"user_id": "u1"})
    assert (created.status_code, created.json()["code"]) == (503, "CLUSTER_UNAVAILABLE")
    assert world.chat(asleep).status_code == 202
    assert world.http.post(f"/session/{asleep}/wake").json()["status"] == "queued"
    assert world.status(asleep)["observed"] == {"replicas": None, "ready": False, "error": "unreachable"}
    assert world.http.delete(f"/session/{doomed}").status_code == 503
    assert world.http.get(f"/session/{doomed}/status").status_code == 404
    assert Session.objects.count() == 2

    world.mend()
    assert world.settled(asleep)[0]["status"] == "answered"
    world.reaches(doomed, "terminated")
    assert world.kube is not None
    assert {one["metadata"]["labels"]["session-uuid"] for one in world.kube.of("services")} == {asleep}
    assert [event["event"] for event in events("u1", doomed)].count("session.end") == 1


def test_expired_session_is_ended(world: World, settings: Any) -> None:
    """POD-76 row 13; POD-42, POD-43."""
    settings.SESSION_TTL = 1
    session_id = world.create()
    time.sleep(1.1)
    answer = world.http.get(f"/session/{session_id}/status")
    assert (answer.status_code, answer.json()["code"]) == (404, "SESSION_NOT_FOUND")
    world.reaches(session_id, "terminated")
    (end,) = [event for event in events("u1", session_id) if event["event"] == "session.end"]
    assert (end["end_reason"], end["performer_id"]) == ("timeout", "system")


def test_cleanup_has_nothing_to_do(world: World, capsys: Any) -> None:
    """POD-72."""
    session_id = world.awake()
    world.chat(session_id)
    until(lambda: not inbox.sessions_with_lists())
    call_command("cleanup_pods")
    assert capsys.readouterr().out == "expired=0 terminated=0 orphans=0 repaired=0 failed=0\n"
