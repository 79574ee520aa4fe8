"""HTTP doors to sign-in (OPS-16 to OPS-19)."""

from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app import accounts
from sessions_app.fields import ActorId, SessionId, Text
from sessions_app.rest import Endpoint
from sessions_app.wire import WireSerializer


class PasswordIn(WireSerializer):
    """Body of `POST /auth/token` with a password."""

    username = Text(least=1, most=150)
    password = Text(least=1, most=1024)
    device_id = ActorId(required=False)
    session_id = SessionId(required=False)


class IssueToken(Endpoint):
    """`POST /auth/token`"""

    authentication_classes = ()

    def post(self, request: Request) -> Response:
        """200 with a new pair; never cached."""
        return Response(accounts.sign_in(**self.body(PasswordIn)), headers={"Cache-Control": "no-store"})
