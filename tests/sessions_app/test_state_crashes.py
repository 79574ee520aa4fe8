"""Killing every web process in a storm of writes, and emptying Redis: nothing acknowledged is lost (L1 to L3)."""

import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import redis
from django.conf import settings

from sessions_app.models import StateVersion
from tests.factories import make_token
from tests.processes import WebProcess

WRITERS = 12
ACKED_BEFORE_THE_KILL = 150


@dataclass
class Writer:
    """A client that writes to a few sessions through either process, and remembers what it was told."""

    token: str
    sessions: list[str]
    processes: list[WebProcess]
    acked: dict[tuple[str, int], str] = field(default_factory=dict)  # (session, version) -> checksum
    unanswered: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)  # session, key, patch

    def storm(self, stop: threading.Event) -> None:
        """Patch until told to stop or until nobody answers."""
        with httpx.Client(timeout=5, verify=False) as client:
            while not stop.is_set():
                session_id, key = random.choice(self.sessions), str(uuid.uuid4())
                patch = {random.choice("abcdef"): random.random()}
                try:
                    self.send(client, random.choice(self.processes).url, session_id, key, patch)
                except httpx.HTTPError:
                    self.unanswered.append((session_id, key, patch))

    def send(self, client: httpx.Client, url: str, session_id: str, key: str, patch: dict[str, Any]) -> None:
        """One write, and what it was told."""
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/merge-patch+json",
            "Idempotency-Key": key,
        }
        answer = client.patch(f"{url}/session/{session_id}", json=patch, headers=headers)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        version = (session_id, told["version"])
        assert version not in self.acked or self.acked[version] == told["checksum"]
        self.acked[version] = told["checksum"]


@pytest.mark.django_db(transaction=True)
def test_no_acknowledged_version_is_lost_when_everything_is_killed():
    """L1, L2, L3: each acked version is there with its checksum; no gap; repeats learn the one true answer (STA-65)."""
    sessions, token = [str(uuid.uuid4()) for _ in range(4)], make_token("u1")
    quiet = {"LOG_LEVEL": "ERROR", "RATE_STATE": "1000000/m"}
    with WebProcess(**quiet) as one, WebProcess(**quiet) as two:
        for session_id in sessions:
            opened = one.post(
                "/session/snapshot",
                {"session_id": session_id, "user_id": "u1", "state_data": {}},
                Authorization=f"Bearer {token}",
            )
            assert opened.status_code == 201
        writers = [Writer(token, sessions, [one, two]) for _ in range(WRITERS)]
        kill_in_mid_storm(writers, [one, two])
    redis.Redis.from_url(settings.REDIS_URL).flushdb()
    with WebProcess(**quiet) as after:
        read_back(after.url, writers)
        repeat_unanswered(after.url, writers)
        read_back(after.url, writers)

    for session_id in sessions:
        versions = StateVersion.objects.filter(session_id=session_id).order_by("version")
        assert [row.version for row in versions] == list(range(1, len(versions) + 1))
    assert sum(len(writer.acked) for writer in writers) + len(sessions) == StateVersion.objects.count()


def kill_in_mid_storm(writers: list[Writer], processes: list[WebProcess]) -> None:
    """SIGKILL to both processes while all writers are writing."""
    stop = threading.Event()
    threads = [threading.Thread(target=writer.storm, args=(stop,)) for writer in writers]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 60
    while (acked := sum(len(writer.acked) for writer in writers)) < ACKED_BEFORE_THE_KILL and time.monotonic() < until:
        time.sleep(0.01)
    for process in processes:
        process.kill()
    stop.set()
    for thread in threads:
        thread.join(30)
    assert acked >= ACKED_BEFORE_THE_KILL


def read_back(url: str, writers: list[Writer]) -> None:
    """Every acknowledged version has the acknowledged checksum."""
    headers = {"Authorization": f"Bearer {writers[0].token}"}
    with httpx.Client(timeout=10, headers=headers, verify=False) as client:
        for writer in writers:
            for (session_id, version), checksum in writer.acked.items():
                found = client.get(f"{url}/session/{session_id}?version={version}").json()
                assert found["checksum"] == checksum


def repeat_unanswered(url: str, writers: list[Writer]) -> None:
    """Who got no answer asks again with the same key, twice, and gets the same answer both times."""
    with httpx.Client(timeout=10, verify=False) as client:
        for writer in writers:
            for session_id, key, patch in writer.unanswered:
                writer.send(client, url, session_id, key, patch)
                before = dict(writer.acked)
                writer.send(client, url, session_id, key, patch)
                assert writer.acked == before
