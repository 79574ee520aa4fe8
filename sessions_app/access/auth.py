"""Who is calling (CON-10 to CON-12): one reading of credentials for HTTP, sockets and raw routes alike."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings

from sessions_app.access import revocations, tokens
from sessions_app.errors import RoleForbidden, UserNotAllowed
from sessions_app.kinds import Unauthenticated

ACTS_FOR_ANYONE = frozenset({"operator", "admin", "service"})


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated principal; `user_id` is empty for a service, and for nobody while authentication is off."""

    user_id: str = ""
    roles: frozenset[str] = frozenset({"user"})
    device_id: str | None = None
    session_id: str | None = None
    service: str | None = None  # the name of the API key
    claims: tokens.Claims | None = None
    is_anonymous: bool = False  # AUTH_REQUIRED=false and no credential

    is_authenticated = True  # what Django and DRF ask of request.user

    @property
    def is_service(self) -> bool:
        """Whether this is a caller with an API key, or passes as one (SES-7)."""
        return "service" in self.roles

    @property
    def name(self) -> str:
        """How the caller is written down where a declaration must be auditable (SES-30)."""
        if self.service is not None:
            return f"service.{self.service}"
        return "anonymous" if self.is_anonymous else self.user_id

    @property
    def acts_for_anyone(self) -> bool:
        """Whether the caller may act for every user."""
        return self.is_anonymous or not self.roles.isdisjoint(ACTS_FOR_ANYONE)

    def may_act_for(self, user_id: str) -> bool:
        """Whether the caller may act for `user_id` (CON-11)."""
        return self.user_id == user_id or self.acts_for_anyone

    def must_act_for(self, user_id: str) -> None:
        """Raises UserNotAllowed unless the caller may act for `user_id`."""
        if not self.may_act_for(user_id):
            raise UserNotAllowed

    def must_be(self, role: str) -> None:
        """Raises RoleForbidden unless the caller has `role`."""
        if role not in self.roles:
            raise RoleForbidden


ANONYMOUS = Caller(is_anonymous=True, roles=frozenset({"user", "service"}))


def authenticate(headers: Mapping[str, str]) -> Caller:
    """The caller behind a request's headers (names in lower case). Raises Unauthenticated.

    A credential that is present is always verified; both of two must be valid, the bearer names the caller (OPS-24).
    """
    service = _service(headers["x-api-key"]) if "x-api-key" in headers else None
    if "authorization" in headers:
        scheme, _, text = headers["authorization"].partition(" ")
        if scheme.lower() != "bearer" or not text:
            raise Unauthenticated
        return from_token(text.strip())
    if service is not None:
        return service
    if settings.AUTH_REQUIRED:
        raise Unauthenticated
    return ANONYMOUS


def from_token(text: str) -> Caller:
    """The caller an access token names; roles come from the token alone. Raises Unauthenticated."""
    claims = tokens.verify(text)
    if revocations.is_revoked(claims):
        raise Unauthenticated
    return Caller(
        user_id=claims.user_id,
        roles=claims.roles,
        device_id=claims.device_id,
        session_id=claims.session_id,
        claims=claims,
    )


def _service(key: str) -> Caller:
    """The service whose API key this is, compared in constant time with every key there is."""
    named = None
    for name, known in settings.SERVICE_API_KEYS.items():
        if hmac.compare_digest(key.encode(), known.encode()):
            named = name
    if named is None:
        raise Unauthenticated
    return Caller(roles=frozenset({"service"}), service=named)
