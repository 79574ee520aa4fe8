"""The extractor worker, `python -m gestures.worker`: captures, one by one, over its standard pipes (GES-30 to GES-35).

It has no Django, no database, no network and no secret; it reads frames, answers rows, and ends with its peer.
"""

import argparse
import ctypes
import os
import resource
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable

from gestures import landmarks
from gestures.extraction import framing
from gestures.extraction.framing import Kind

MAX_CAPTURES = 50  # GES-35
MAX_MEMORY_KIB = 600 * 1024
_PR_SET_DUMPABLE = 4
_READ_BYTES = 1 << 18


class Inbox:
    """What the peer has sent and the worker has not yet looked at. An ABORT overtakes the frames before it."""

    def __init__(self) -> None:
        self._messages: deque[tuple[Kind, bytes]] = deque()
        self._filled = threading.Condition()

    def put(self, kind: Kind, payload: bytes) -> None:
        """Add one message."""
        with self._filled:
            if kind is Kind.ABORT:
                self._messages = deque(message for message in self._messages if message[0] is not Kind.FRAME)
            self._messages.append((kind, payload))
            self._filled.notify()

    def take(self) -> tuple[Kind, bytes]:
        """Wait for the next message."""
        with self._filled:
            while not self._messages:
                self._filled.wait()
            return self._messages.popleft()


def main() -> None:
    """Serve captures until the peer is gone, 50 are done, or the memory allowance is used up."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--backend", choices=("holistic", "fake"), required=True)
    backend = arguments.parse_args().backend
    receive, send = _take_pipes()
    _leave_no_core()
    try:
        make_graph = landmarks.load(backend)
        _warm(make_graph)
    except Exception as error:  # whatever a broken library raises, the peer is told instead of a traceback
        why = framing.document(error_code="extractor_unavailable", detail=f"{type(error).__name__}: {error}")
        send(framing.pack(Kind.ERROR, why))
        sys.exit(1)
    inbox = Inbox()
    threading.Thread(target=_read, args=(receive, inbox), daemon=True).start()
    for _ in range(MAX_CAPTURES):
        graph = make_graph()
        send(framing.pack(Kind.READY, framing.document(layout=landmarks.layout_name(backend))))
        serve(graph, inbox, send)
        graph.close()
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > MAX_MEMORY_KIB:
            break


def serve(graph: landmarks.Graph, inbox: Inbox, send: Callable[[bytes], None]) -> None:
    """One capture: rows for frames in order, DONE at its CLOSE. After an error the rest is dropped up to its end."""
    kind, payload = inbox.take()
    opened = framing.members(payload)
    failed = False
    while kind not in (Kind.CLOSE, Kind.ABORT):
        kind, payload = inbox.take()
        if kind is Kind.FRAME and not failed:
            try:
                send(framing.pack(Kind.ROW, graph.row(payload, opened["width"], opened["height"])))
            except landmarks.FrameRefused as refusal:
                failed = True
                why = framing.document(error_code=refusal.error_code, detail=str(refusal))
                send(framing.pack(Kind.ERROR, why))
    if kind is Kind.CLOSE and not failed:
        send(framing.pack(Kind.DONE))


def _take_pipes() -> tuple[int, Callable[[bytes], None]]:
    """Keep the standard pipes for the protocol; what a library reads is empty, what it prints goes to stderr."""
    receive, answer = os.dup(0), os.dup(1)
    nothing, closed = os.pipe()
    os.close(closed)
    os.dup2(nothing, 0)
    os.dup2(2, 1)

    def send(message: bytes) -> None:
        view = memoryview(message)
        while view:
            view = view[os.write(answer, view) :]

    return receive, send


def _leave_no_core() -> None:
    """No core dump may hold pixels: neither a file nor, what the limit alone would allow, a pipe to a collector."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; a worker ends with its peer


def _warm(make_graph: Callable[[], landmarks.Graph]) -> None:
    """Pay for the libraries' first use now. The graph is thrown away, so no capture starts from its memory."""
    graph = make_graph()
    graph.row(landmarks.blank_jpeg(64, 64), 64, 64)
    graph.close()


def _read(receive: int, inbox: Inbox) -> None:
    """Fill the inbox; when the peer is gone, so is every frame and row of it (GES-34)."""
    unpacker = framing.Unpacker()
    try:
        while data := os.read(receive, _READ_BYTES):
            for kind, payload in unpacker.feed(data):
                inbox.put(kind, payload)
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
