"""What captures leave behind, and the workers that serve them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from gestures import extractor
from gestures.models import CaptureSlot, FeatureRef
from sessions_app.models import Session
from tests.logs import events
from tests.watching import children, command_line


def nothing_remains(session: Session) -> bool:
    """GES-28, GES-79: no file, row, line or slot."""
    files = [path for path in Path(settings.DATA_ROOT).rglob("*") if path.is_file()]
    kinds = [event["event"] for event in events(session.user_id, session.session_id)]
    return (files, FeatureRef.objects.count(), CaptureSlot.objects.count(), "raw_features.ready" in kinds) == (
        [], 0, 0, False,
    )  # fmt: skip


def eventually(condition: Callable[[], object], seconds: float = 10) -> object:
    """Wait for what another thread is about to do."""
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


def ready_workers() -> list[int]:
    """The pids of both workers, once each waits for a capture."""
    assert eventually(lambda: extractor.counts().get("ready") == 2)
    return workers()


def workers() -> list[int]:
    """The pids of this process's extractor workers."""
    return sorted(pid for pid in children(os.getpid()) if b"gestures.worker" in command_line(pid))
