"""Children started, watched, restarted and stopped by one thread (OPS-6, OPS-9)."""

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from launcher import procfs
from launcher.command import Command
from launcher.errors import Refusal

DEATHS_MAX, DEATHS_WINDOW_S = 5, 60.0  # OPS-6: the fifth death within a minute ends everything
TAIL_LINES, TAIL_BYTES = 20, 16384  # OPS-6: what is shown of a child that kept dying
STOP_S = 30.0  # OPS-9: longer than this nobody is waited for
TICK_S = 0.1


class StopRequested(Exception):
    """A signal asked this launcher to end."""


@dataclass(slots=True)
class Child:
    """One command under watch; `process` is None while it waits to be started again."""

    command: Command
    process: subprocess.Popen[bytes] | None = None
    started: int = 0  # clock ticks since boot
    said: bytes = b""  # the end of its output
    deaths: list[float] = field(default_factory=list)
    restart_at: float = 0.0


class Supervisor:
    """All children of one launcher. Every waiting function also forwards output and restarts the dead."""

    def __init__(self, *, echo: bool = True, changed: Callable[[list[Child]], None] = lambda children: None) -> None:
        self.children: list[Child] = []
        self._echo = echo
        self._changed = changed
        self._pipes = selectors.DefaultSelector()
        self._signals: list[int] = []
        self._stopping = False

    def listen(self) -> None:
        """Turn SIGINT, SIGTERM and SIGHUP into StopRequested, raised by whatever waits next."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda got, frame: self._signals.append(got))

    def start(self, command: Command) -> Child:
        """Start one child and keep it running until `stop`."""
        child = Child(command)
        self.children.append(child)
        self._spawn(child)
        return child

    def watch(self, seconds: float = TICK_S) -> None:
        """Let the children run for a moment. Raises StopRequested, or Refusal when one died too often."""
        self._forward(seconds)
        for child in self.children:
            self._look_after(child)
        if self._signals and not self._stopping:
            raise StopRequested

    def wait_until(self, ready: Callable[[], bool], *, seconds: float, what: str) -> None:
        """Watch until `ready()`. Raises Refusal when that takes longer than `seconds`."""
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                raise Refusal(f"{what} was not ready within {seconds:.0f} s.")
            again = time.monotonic() + TICK_S
            while (left_s := again - time.monotonic()) > 0:
                self.watch(left_s)

    def run(self, command: Command) -> tuple[int, str, str]:
        """Run a command to its end beside the children. Returns exit code, stdout and stderr."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = command.spawn(stdout=out, stderr=err, start_new_session=True)
            try:
                self._wait_for(process)
            except BaseException:
                process.kill()
                process.wait()
                raise
            return process.returncode, _text(out), _text(err)

    def foreground(self, command: Command) -> int:
        """Run a command on this terminal beside the children and return its exit code. Signals are the command's."""
        process = command.spawn()
        while True:
            try:
                self._wait_for(process)
                return process.returncode if process.returncode >= 0 else 128 - process.returncode
            except StopRequested:
                # A terminal's Ctrl-C reached the command by itself; what was sent to us alone must be passed on.
                number = self._signals.pop()
                if number != signal.SIGINT or not os.isatty(0):
                    process.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)

    def stop(self) -> bool:
        """Stop all children, lower ranks first. False if a second SIGINT or the time limit cut it short by SIGKILL."""
        self._stopping = True
        deadline = time.monotonic() + STOP_S
        clean = True
        for rank in sorted({child.command.rank for child in self.children}):
            group = [child for child in self.children if child.command.rank == rank]
            for child in group:
                if child.process:
                    procfs.send(child.process.pid, child.command.stop_signal)
            while clean and any(_alive(child) for child in group):
                self._forward(0.02)
                clean = time.monotonic() < deadline and not self.interrupted_twice
            for child in group:
                self._bury(child)
        return clean

    @property
    def interrupted_twice(self) -> bool:
        """Whether the user has pressed Ctrl-C again (OPS-9)."""
        return self._signals.count(signal.SIGINT) > 1

    def _spawn(self, child: Child) -> None:
        command = child.command
        child.process = command.spawn(
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the launcher, which stops its children in order
        )
        assert child.process.stdout is not None
        os.set_blocking(child.process.stdout.fileno(), False)
        self._pipes.register(child.process.stdout, selectors.EVENT_READ, child)
        child.started = procfs.started(child.process.pid) or 0
        self._changed(self.children)

    def _forward(self, seconds: float) -> None:
        if not self._pipes.get_map():
            time.sleep(seconds)
        for key, _ in self._pipes.select(seconds) if self._pipes.get_map() else ():
            self._read(key.data, key.fd)

    def _read(self, child: Child, pipe: int) -> None:
        try:
            text = os.read(pipe, 65536)
        except BlockingIOError:
            return
        if not text:
            self._pipes.unregister(pipe)
            return
        child.said = (child.said + text)[-TAIL_BYTES:]
        if self._echo and child.command.echo:
            _echo(text)

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.restart_at:
                self._spawn(child)
            return
        if _alive(child):
            return
        code = child.process.returncode
        self._bury(child)
        child.deaths = [death for death in child.deaths if death > now - DEATHS_WINDOW_S] + [now]
        if len(child.deaths) >= DEATHS_MAX:
            last = "\n".join(child.said.decode(errors="replace").splitlines()[-TAIL_LINES:])
            raise Refusal(
                f"{last}\n{child.command.name} died {DEATHS_MAX} times within a minute; its last lines are above."
            )
        delay_s = 2 ** (len(child.deaths) - 1)
        child.restart_at = now + delay_s
        _echo(f"{child.command.name} ended with {code}; it is started again in {delay_s} s.\n".encode())
        self._changed(self.children)

    def _bury(self, child: Child) -> None:
        """Make sure nothing of the child's session is left, and take its last words."""
        process, child.process = child.process, None
        if process is None:
            return
        process.kill()
        process.wait()
        procfs.kill(process.pid, since=child.started)
        assert process.stdout is not None
        if process.stdout.fileno() in self._pipes.get_map():
            self._read(child, process.stdout.fileno())
        if process.stdout.fileno() in self._pipes.get_map():
            self._pipes.unregister(process.stdout)
        process.stdout.close()

    def _wait_for(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            self.watch(0.02)


def _alive(child: Child) -> bool:
    return child.process is not None and child.process.poll() is None


def _echo(text: bytes) -> None:
    try:
        sys.stderr.buffer.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # the terminal is gone; stopping in order matters more than being read


def _text(stream: BinaryIO) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")
