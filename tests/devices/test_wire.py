"""Raw RFC 6455 against the real server, and clients that do not read (DEV-4, DEV-5, DEV-51)."""

import base64
import itertools
import json
import os
import socket
import struct
import time

import pytest

from tests.factories import make_token

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10  # opcodes
STATE_UPDATE, LEFT, BROADCAST = 5, 11, 13


class Wire:
    """A WebSocket spoken byte by byte."""

    def __init__(self, port, *, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(10)
        self.socket.connect(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        request = f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        request += f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        request += "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        self.socket.sendall(request.encode())
        self.head = b""
        while b"\r\n\r\n" not in self.head:
            self.head += self.socket.recv(1)

    def send(self, opcode, data, *, fin=True, rsv=0, masked=True, length=None):
        """One frame, be it as wrong as it likes."""
        first, size = (fin << 7) | (rsv << 4) | opcode, len(data) if length is None else length
        head = bytes([first])
        if size < 126:
            head += bytes([(masked << 7) | size])
        elif size < 65536:
            head += bytes([(masked << 7) | 126]) + struct.pack("!H", size)
        else:
            head += bytes([(masked << 7) | 127]) + struct.pack("!Q", size)
        mask = os.urandom(4) if masked else b""
        body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data)) if masked else data
        self.socket.sendall(head + mask + body)

    def send_json(self, type_, payload):
        self.send(TEXT, json.dumps({"type": type_, "payload": payload}).encode())

    def exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def receive(self):
        """Opcode and data of the next frame."""
        first, second = self.exactly(2)
        size = second & 127
        if size >= 126:
            size = int.from_bytes(self.exactly(2 if size == 126 else 8), "big")
        return first & 15, self.exactly(size)

    def close_code(self):
        """The code of the server's close frame, whatever comes before it; None if it only hangs up."""
        try:
            while True:
                opcode, data = self.receive()
                if opcode == CLOSE:
                    return int.from_bytes(data[:2], "big")
        except (EOFError, ConnectionError):
            return None


@pytest.fixture
def wire(web):
    made = []

    def make(**options):
        made.append(Wire(web.port, **options))
        return made[-1]

    yield make
    for one in made:
        one.socket.close()


HEARTBEAT = b'{"type": 1}'


def test_no_compression(wire):
    """DEV-4: permessage-deflate is offered and not taken."""
    assert b"extensions" not in wire().head.lower()


def test_fragments(wire):
    """DEV-4: reassembled, with a ping in between."""
    one = wire()
    one.send(TEXT, HEARTBEAT[:4], fin=False)
    one.send(PING, b"now")
    one.send(0, HEARTBEAT[4:])

    assert one.receive() == (PONG, b"now")
    assert json.loads(one.receive()[1])["type"] == 2


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ((TEXT, HEARTBEAT, {"masked": False}), 1002),
        ((TEXT, HEARTBEAT, {"rsv": 4}), 1002),
        ((3, b"", {}), 1002),
        ((11, b"", {}), 1002),
        ((PING, b"x" * 126, {}), 1002),
        ((PING, b"x", {"fin": False}), 1002),
        ((0, b"x", {}), 1002),
        ((CLOSE, b"\x03", {}), 1002),
        ((CLOSE, struct.pack("!H", 1005), {}), 1002),
        ((TEXT, b"\xff\xfe", {}), 1007),
        ((CLOSE, struct.pack("!H", 1000) + b"\xff", {}), 1007),
        ((TEXT, b"", {"length": 2**40}), 1009),
        ((TEXT, b"x" * 600_000, {}), 1009),
        ((BINARY, b"{}", {}), 1003),
    ],
)
def test_protocol_errors(wire, frame, code):
    """DEV-67: 1002, 1003, 1007, 1009; the server goes on."""
    one, other = wire(), wire()
    opcode, data, options = frame
    one.send(opcode, data, **options)
    other.send(TEXT, HEARTBEAT)

    assert one.close_code() == code
    assert json.loads(other.receive()[1])["type"] == 2


def stuck(wire, user, device_id):
    """A device that has joined and reads nothing more."""
    one = wire(receive_buffer=4096)
    one.send_json(7, {"token": make_token(user), "device_id": device_id})
    assert json.loads(one.receive()[1])["type"] == 8
    return one


def test_client_that_never_reads(wire, device, user):
    """DEV-51: its peers see every frame at once; what may not be dropped overflows its outbox, and it is closed."""
    writers, reader = [device("one"), device("two")], device("reader")
    sleeper = stuck(wire, user, "sleeper")
    text = "x" * 16_000
    for number in range(380):
        sent = writers[number % 2].call(BROADCAST, {"message": f"{number:04}{text}"})
        assert reader.next_of(BROADCAST, 2)["payload"] == sent["payload"]
    left = reader.next_of(LEFT)["payload"]

    assert left == {"device_id": "sleeper", "reason": "error"}
    assert sleeper.close_code() in (4430, None)


@pytest.mark.soak
def test_client_that_stalls(wire, device, user):
    """DEV-51: state frames alone overflow nothing; the socket that takes no byte for 10 s is closed."""
    writer, reader = device("writer"), device("reader")
    sleeper = stuck(wire, user, "sleeper")
    value = "x" * 60_000
    for number in range(150):
        ack = writer.set("big", value + str(number))
        assert reader.next_of(STATE_UPDATE, 2)["payload"]["seq"] == ack["payload"]["seq"] == number + 1
    left = reader.next_of(LEFT, 15)["payload"]

    assert left == {"device_id": "sleeper", "reason": "error"}
    assert sleeper.close_code() in (4430, None)


@pytest.mark.soak
def test_client_that_reads_slowly(wire, device, user):
    """DEV-51: one that takes bytes, however few, is no stuck one."""
    writer = device("writer")
    slow = stuck(wire, user, "slow")
    for number in range(150):
        writer.set("big", "x" * 60_000 + str(number))
    until = time.monotonic() + 25
    while time.monotonic() < until:
        slow.socket.recv(2000)
        time.sleep(0.5)

    assert [frame for frame in writer.quiet() if frame["type"] == LEFT] == []


def test_client_that_reads_late(wire, device, user):
    """DEV-51, L4: what a full outbox dropped is made good by one snapshot before any later seq."""
    writer = device("writer")
    sleeper = stuck(wire, user, "sleeper")
    value = "x" * 60_000
    for number in range(120):
        writer.set("big", value + str(number))
    seen, last = [], 0
    while last < 120:
        _, data = sleeper.receive()
        frame = json.loads(data)
        if frame["type"] in (4, 5):
            last = frame["payload"]["seq"]
            seen.append((frame["type"], last))

    snapshots = [seq for type_, seq in seen if type_ == 4]
    assert len(snapshots) >= 1
    for (_, before), (type_, seq) in itertools.pairwise(seen):
        assert seq == before + 1 or (type_ == 4 and seq > before)
    assert writer.set("small", 1)["payload"]["seq"] == 121
