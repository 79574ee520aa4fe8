"""HTTP doors to sign-in (OPS-16 to OPS-22). Answers are never cached."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app import clock
from sessions_app.access import accounts, logins, tokens
from sessions_app.access.auth import Caller
from sessions_app.errors import FieldInvalid, RoleForbidden
from sessions_app.http import negotiation
from sessions_app.http.bodies import WireSerializer
from sessions_app.http.fields import ActorId, Flag, OneOf, SessionId, Text
from sessions_app.http.openapi import contract
from sessions_app.http.rest import Endpoint
from sessions_app.kinds import FieldError, FieldErrors, Unauthenticated
from sessions_app.models import Login

NO_STORE = {"Cache-Control": "no-store"}


class PasswordIn(WireSerializer):
    """Body of `POST /auth/token` with a password."""

    username = Text(least=1, most=150, blank_is_missing=True)
    password = Text(least=1, most=1024)
    device_id = ActorId(required=False)
    session_id = SessionId(required=False)


class MintIn(WireSerializer):
    """Body of `POST /auth/token` on the word of the caller."""

    user_id = ActorId()
    device_id = ActorId(required=False)
    session_id = SessionId(required=False)
    roles = serializers.ListField(child=OneOf(*sorted(tokens.ROLES)), required=False, allow_empty=False)


class RefreshIn(WireSerializer):
    """Body of `POST /auth/refresh`."""

    refresh_token = Text(least=1, most=65_536, blank_is_missing=True)


class RevokeIn(WireSerializer):
    """Body of `POST /auth/revoke`: at most one of the first three."""

    refresh_token = Text(least=1, most=65_536, required=False)
    device_id = ActorId(required=False)
    all = Flag(required=False)
    user_id = ActorId(required=False)


class IssueToken(Endpoint):
    """`POST /auth/token`: with a password, or minted for a user or a device by a caller who may."""

    authentication_classes = (negotiation.OptionalBearerOrKey,)

    @contract(body=PasswordIn, answers={200: "A new token pair."})
    def post(self, request: Request) -> Response:
        """200 with a new pair."""
        if "user_id" not in self.members:
            return Response(self._with_password(**self.body(PasswordIn)), headers=NO_STORE)
        members = self.body(MintIn)
        if request.user is None:
            raise Unauthenticated
        wanted = {name: members.get(name) for name in ("roles", "device_id", "session_id")}
        return Response(logins.mint(members["user_id"], by=self.caller, **wanted), headers=NO_STORE)

    def _with_password(self, *, username: str, password: str, **claims: Any) -> logins.Pair:
        person = accounts.check_password(username, password)
        return logins.begin(person.get_username(), roles=accounts.roles_of(person), **claims)


class RefreshPair(Endpoint):
    """`POST /auth/refresh`"""

    authentication_classes = (negotiation.OptionalBearerOrKey,)

    @contract(body=RefreshIn, answers={200: "A new token pair; the old refresh token is spent."})
    def post(self, request: Request) -> Response:
        """200 with a new pair for a spent token."""
        return Response(logins.refresh(self.body(RefreshIn)["refresh_token"]), headers=NO_STORE)


class RevokeLogins(Endpoint):
    """`POST /auth/revoke`"""

    @contract(body=RevokeIn, answers={200: "How many sign-ins were revoked."})
    def post(self, request: Request) -> Response:
        """200 with the number of sign-ins that were alive."""
        count, at = _revoke(self.caller, self.body(RevokeIn))
        return Response({"revoked": count, "revoked_at": clock.stamp(at)}, headers=NO_STORE)


def _revoke(caller: Caller, members: dict[str, Any]) -> Any:
    """Find what is meant and revoke it. Raises RoleForbidden, FieldErrors."""
    named = [name for name in ("refresh_token", "device_id", "all") if members.get(name)]
    if len(named) > 1:
        raise FieldErrors([FieldError(named[1], FieldInvalid.code, f"cannot stand beside {named[0]}")])
    user_id = members.get("user_id", caller.user_id)
    if user_id != caller.user_id and "admin" not in caller.roles:
        raise RoleForbidden
    theirs = Login.objects.filter(user_id=user_id)
    if named == ["device_id"]:
        return logins.revoke(theirs.filter(device_id=members["device_id"]))
    if named == ["all"]:
        return logins.revoke_all(user_id)
    if named == ["refresh_token"]:
        return logins.revoke(theirs & logins.of_refresh_token(members["refresh_token"]))
    if caller.claims is None:
        return logins.revoke(Login.objects.none())
    families, also = logins.of_token(caller.claims)
    return logins.revoke(families, also=also)
