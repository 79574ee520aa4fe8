"""AUTH where no token is needed (DEV-15)."""

import pytest

from devices import admission
from sessions_app.kinds import Unauthenticated
from sessions_app.protocol import Message
from sessions_app.sockets.socket_errors import BadFrame
from tests.factories import make_token

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nobody_needs_a_token(settings):
    settings.AUTH_REQUIRED = False


def auth(user_id=None, **payload):
    return Message(type=7, user_id=user_id, payload={"device_id": "phone", **payload})


@pytest.mark.parametrize("token", [{}, {"token": ""}, {"token": None}])
def test_admit_without_a_token(token):
    """DEV-15: the envelope says who it is."""
    admitted = admission.admit(auth("u1", **token))
    assert (admitted.user_id, admitted.caller.is_anonymous, admission.settle(admitted)[:5]) == ("u1", True, "sess_")


@pytest.mark.parametrize("user_id", [None, "", "../u1", 5])
def test_admit_nobody(user_id):
    """DEV-15, CON-2."""
    with pytest.raises(BadFrame):
        admission.admit(auth(user_id))


def test_admit_with_a_token():
    """DEV-15: one that is given is verified, and counts."""
    with pytest.raises(Unauthenticated):
        admission.admit(auth("u1", token="x"))
    assert admission.admit(auth(token=make_token("u2"))).user_id == "u2"
