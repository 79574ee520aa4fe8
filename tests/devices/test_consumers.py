"""The conversation on one socket, with its server played by the test (DEV-20, DEV-25)."""

import asyncio
import json
import time

import pytest

from devices import admission, consumers
from devices.errors import DeviceMismatch, TooManyConnections
from sessions_app import broadcast
from sessions_app.access import revocations
from sessions_app.access.revocations import Revoked
from sessions_app.errors import (
    DatabaseUnavailable,
    RecorderUnavailable,
    RoleForbidden,
    SessionAlreadyClosed,
    SessionIdInvalid,
    SessionNotFound,
)
from sessions_app.kinds import Unauthenticated
from sessions_app.sockets.socket_errors import BadFrame
from tests.factories import make_token

SCOPE = {"type": "websocket", "scheme": "ws", "headers": [], "client": ("127.0.0.1", 1), "subprotocols": []}


def converse(*messages):
    """What a client that says this is answered: frames, and the close code."""

    async def play():
        said = [{"type": "websocket.receive", "text": json.dumps(message)} for message in messages]
        coming = [{"type": "websocket.connect"}, *said, {"type": "websocket.disconnect", "code": 1006}]
        answers = []

        async def receive():
            return coming.pop(0)

        async def send(event):
            answers.append(event.get("code") or json.loads(event.get("text", "null")))

        try:
            await consumers.device_socket({**SCOPE, "headers": []}, receive, send)
        finally:
            await broadcast.stop()
        return [answer for answer in answers if answer is not None]

    return asyncio.run(play())


@pytest.mark.parametrize(
    ("error", "close"),
    [
        (BadFrame(), 4400), (SessionIdInvalid(), 4400), (Unauthenticated(), 4401), (RoleForbidden(), 4403),
        (DeviceMismatch(), 4403), (SessionNotFound(), 4404), (SessionAlreadyClosed(), 4404),
        (TooManyConnections(), 4429), (DatabaseUnavailable(), 1013), (RecorderUnavailable(), 1013),
    ],
)  # fmt: skip
def test_auth_fails(monkeypatch, error, close):
    """DEV-20: AUTH_FAILURE, and the close that follows at once; nothing is heard after it."""

    def admit(message, *, staff_cookie):
        raise error

    monkeypatch.setattr(admission, "admit", admit)
    failure, code = converse({"type": 7, "correlation_id": "c-1"}, {"type": 1})

    assert (failure["type"], failure["correlation_id"], code) == (9, "c-1", close)
    assert (failure["payload"]["code"], failure["payload"]["error"]) == (error.status, error.code)


def test_auth_meets_a_defect(monkeypatch):
    """DEV-66, DEV-67: ERROR 500, and 1011."""
    monkeypatch.setattr(admission, "admit", None)
    error, code = converse({"type": 7})

    assert (error["payload"]["error"], error["payload"]["recoverable"], code) == ("INTERNAL", False, 1011)


@pytest.mark.django_db(transaction=True)
def test_token_revoked_during_auth(monkeypatch):
    """DEV-25, L8: the notice came when nobody knew yet whose socket it was."""
    admit = admission.admit

    def admit_and_revoke(message, *, staff_cookie):
        admitted = admit(message, staff_cookie=staff_cookie)
        revocations.note([Revoked("user", "u1", time.time())])
        return admitted

    monkeypatch.setattr(admission, "admit", admit_and_revoke)
    answers = converse({"type": 7, "payload": {"token": make_token("u1"), "device_id": "phone"}}, {"type": 3})

    assert (answers[0]["type"], answers[-1], len(answers)) == (8, 4412, 2)
