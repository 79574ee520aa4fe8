"""Watching which files a process writes: inotify on directories, and the open files of processes in /proc."""

import ctypes
import os
import struct
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

IN_MODIFY, IN_CLOSE_WRITE, IN_MOVED_TO, IN_CREATE = 0x2, 0x8, 0x80, 0x100
_EVENT = struct.Struct("iIII")
_WRITABLE = os.O_WRONLY | os.O_RDWR
_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """Use it as a context manager; `written` then holds every file created, modified or moved in below the roots."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self.written: set[Path] = set()
        self._directories: dict[int, Path] = {}
        self._descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._descriptor >= 0, os.strerror(ctypes.get_errno())
        self._began = False
        for root in roots:
            self._add(root)
        self._began = True
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        os.close(self._descriptor)

    def _add(self, directory: Path) -> None:
        mask = IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE
        watched = _libc.inotify_add_watch(self._descriptor, os.fsencode(directory), mask)
        if watched >= 0:
            self._directories[watched] = directory
            for below in directory.iterdir():
                if below.is_dir():
                    self._add(below)
                elif self._began:  # made before the watch on its new directory stood
                    self.written.add(below)

    def _follow(self) -> None:
        while not self._ended.is_set() or self._take():
            if not self._take():
                time.sleep(0.002)

    def _take(self) -> bool:
        try:
            data = os.read(self._descriptor, 65536)
        except BlockingIOError:
            return False
        at = 0
        while at < len(data):
            watched, mask, _, length = _EVENT.unpack_from(data, at)
            name = data[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0")
            at += _EVENT.size + length
            path = self._directories.get(watched, Path("?")) / os.fsdecode(name)
            if mask & 0x40000000:  # a directory
                self._add(path)
            else:
                self.written.add(path)
        return True


class OpenFiles:
    """Use it as a context manager; `written` then holds every regular file seen open for writing in the processes."""

    def __init__(self, pids: Iterable[int]) -> None:
        self.written: set[str] = set()
        self._pids = list(pids)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "OpenFiles":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._ended.is_set():
            for pid in self._pids:
                for link in Path(f"/proc/{pid}/fd").iterdir():
                    self._look(pid, link)

    def _look(self, pid: int, link: Path) -> None:
        try:
            target = os.readlink(link)
            if target.startswith("/") and not target.startswith(("/dev/", "/proc/")):
                info = Path(f"/proc/{pid}/fdinfo/{link.name}").read_text()
                writable = int(info.split("flags:")[1].split()[0], 8) & _WRITABLE
                if writable and os.readlink(link) == target:  # else the number stands for another file by now
                    self.written.add(target)
        except OSError:
            return  # closed meanwhile


def children(pid: int) -> list[int]:
    """The pids of a process's children."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended meanwhile
            found += [int(child) for child in path.read_text().split()]
    return found


def command_line(pid: int) -> bytes:
    """What a process was started with; nothing once it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
