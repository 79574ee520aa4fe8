"""routing/inbox.py: the Redis lists of POD-36 to POD-38, against a real Redis."""

from typing import Any

import pytest
import redis
from django.conf import settings

from routing import inbox
from sessions_app import redisdoor

SESSION = "sess_00000000000000aa"


@pytest.fixture(autouse=True)
def empty() -> Any:
    inbox.forget(SESSION)
    yield
    inbox.forget(SESSION)


def push(*elements: str, pod_id: int = 1) -> None:
    inbox.push(SESSION, *elements, pod_id=pod_id)


def held() -> tuple[list[str], list[str]]:
    """Queue and in flight."""
    keys = (f"baton:queue:{SESSION}", f"baton:inflight:{SESSION}")
    queue, in_flight = ([one.decode() for one in redisdoor.call("lrange", key, 0, -1)] for key in keys)
    return queue, in_flight


def test_push_appends_and_expires(settings: Any) -> None:
    """POD-36."""
    settings.SESSION_TTL = 50
    push("wake:1", "a")
    push("b")
    assert held() == (["wake:1", "a", "b"], [])
    assert 0 < redisdoor.call("ttl", f"baton:queue:{SESSION}") <= 50
    assert inbox.sessions_with_lists() >= {SESSION}


def test_a_push_that_comes_after_the_deletion_writes_nothing() -> None:
    """POD-27: what a slow process pushes for a pod that was taken down meanwhile; a later pod of the session may."""
    push("a", pod_id=1)
    inbox.forget(SESSION, pod_id=1)
    push("a", pod_id=1)
    assert SESSION not in inbox.sessions_with_lists()
    push("b", pod_id=2)
    assert held() == (["b"], [])


def test_take_moves_one_element() -> None:
    """POD-36: the head, and any other where a stray one stands before it; duplicates go."""
    push("a", "b", "c", "b")
    inbox.take(SESSION, "a")
    inbox.take(SESSION, "b")
    assert held() == (["c"], ["a", "b"])


def test_take_of_what_is_not_there_writes_nothing() -> None:
    """POD-27: lists that were deleted with their session stay deleted."""
    inbox.take(SESSION, "a")
    inbox.put_back(SESSION, "a")
    assert SESSION not in inbox.sessions_with_lists()


def test_put_back_returns_to_the_head() -> None:
    """A message that is tried again stays before those behind it."""
    push("a", "b")
    inbox.take(SESSION, "a")
    inbox.put_back(SESSION, "a")
    assert held() == (["a", "b"], [])


def test_drop_removes_it_from_both() -> None:
    """POD-36."""
    push("a", "a", "b")
    inbox.take(SESSION, "a")
    inbox.drop(SESSION, "a")
    assert held() == (["b"], [])


def test_settled_drops_and_tells() -> None:
    """POD-36; who waits is told in the same step, and nothing that is too long for all to hear."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    with client, client.pubsub(ignore_subscribe_messages=True) as news:
        news.subscribe(inbox.NEWS)
        news.get_message(timeout=1)
        for told in ('a {"reply": "Hello."}', "x" * (inbox.MOST_TOLD_CHARACTERS + 1)):
            push("a")
            inbox.take(SESSION, "a")
            inbox.settled(SESSION, "a", told)
            assert SESSION not in inbox.sessions_with_lists()
        heard = [inbox.read_news(news.get_message(timeout=1)["data"].decode()) for _ in range(2)]
    assert heard == [(SESSION, 'a {"reply": "Hello."}'), (SESSION, "")]


def test_rebuild_makes_the_lists_what_the_rows_say() -> None:
    """POD-37: ids exactly, the wake mark of this wake where it is, older marks and strays gone."""
    push("wake:1", "wake:2", "stray", "b")
    assert inbox.rebuild(SESSION, queued=["a", "b"], in_flight=["c"], mark="wake:2", only_compare=True)
    assert held() == (["wake:1", "wake:2", "stray", "b"], [])
    assert inbox.rebuild(SESSION, queued=["a", "b"], in_flight=["c"], mark="wake:2")
    assert held() == (["wake:2", "a", "b"], ["c"])
    assert not inbox.rebuild(SESSION, queued=["a", "b"], in_flight=["c"], mark="wake:2")
    assert inbox.rebuild(SESSION, queued=[], in_flight=[])
    assert SESSION not in inbox.sessions_with_lists()


def test_rebuild_takes_as_many_as_may_wait() -> None:
    """POD-20: CHAT_MAX_PENDING."""
    many = [str(number) for number in range(1000)]
    assert inbox.rebuild(SESSION, queued=many, in_flight=[])
    assert held() == (many, [])
