"""What our management commands have in common (OPS-62): exit codes, --json, progress bars, SIGTERM between items."""

import logging
import signal
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")

DONE, FOUND, BAD_CALL = 0, 1, 2


class Command(BaseCommand, ABC):
    """Base of our commands: `run(**options)` does the work and returns the exit code."""

    stopping = False
    serves = False  # a long-running process, whose log lines belong on stdout (OPS-50)

    def add_arguments(self, parser: CommandParser) -> None:
        """The options every command has."""
        parser.add_argument("--json", action="store_true", help="print JSON, one object per line for lists")
        parser.add_argument("--no-progress", action="store_true", help="show no progress bar")

    @abstractmethod
    def run(self, **options: Any) -> int:
        """Do the work. Raises BadCall."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Django's hook: run, and turn the outcome into the exit code."""
        if not self.serves:
            _keep_stdout_clean()
        self._progress = not options["no_progress"] and sys.stderr.isatty()
        previous = signal.signal(signal.SIGTERM, self._stop) if _is_main_thread() else None
        try:
            code = self.run(**options)
        except (OperationalError, InterfaceError) as error:
            raise CommandError(f"no database: {error}", returncode=BAD_CALL) from error
        finally:
            if previous is not None:
                signal.signal(signal.SIGTERM, previous)
        if code:
            sys.exit(code)

    def say(self, text: str) -> None:
        """One line on stdout."""
        self.stdout.write(text)

    def say_json(self, members: Any) -> None:
        """One JSON object on stdout."""
        self.stdout.write(orjson.dumps(members).decode())

    def track(self, items: Iterable[Item], *, total: int | None, what: str) -> Iterator[Item]:
        """`items` until SIGTERM, with a bar on stderr where a person is looking."""
        if not self._progress:
            for item in items:
                if self.stopping:
                    return
                yield item
            return
        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total)
            for item in items:
                if self.stopping:
                    return
                yield item
                bar.advance(task)

    def slept(self, seconds: int) -> bool:
        """Sleep in short steps; True once SIGTERM has come."""
        until = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < until:
            time.sleep(min(0.2, max(0.0, until - time.monotonic())))
        return self.stopping

    def _stop(self, *_: Any) -> None:
        self.stopping = True


class BadCall(CommandError):
    """Bad arguments or an unknown id: exit 2."""

    def __init__(self, text: str) -> None:
        super().__init__(text, returncode=BAD_CALL)


def _keep_stdout_clean() -> None:
    """What a command prints is its answer; log lines go to stderr (OPS-62)."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
            handler.setStream(sys.stderr)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
