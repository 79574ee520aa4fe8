"""Access and refresh tokens by simplejwt, HS256 with one secret each (CON-10, OPS-16)."""

import datetime as dt
import functools
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.tokens import Token

from sessions_app import ids
from sessions_app.errors import RefreshExpired, RefreshInvalid
from sessions_app.kinds import Unauthenticated

ROLES = frozenset({"user", "operator", "admin", "service"})
MAX_TOKEN_CHARACTERS = 4096


class AccessToken(Token):
    """The short-lived token every request carries."""

    token_type = "access"
    lifetime = dt.timedelta(seconds=settings.ACCESS_TOKEN_S)
    _token_backend = TokenBackend("HS256", settings.JWT_SECRET)


class RefreshToken(Token):
    """The long-lived token that is only good for a new pair."""

    token_type = "refresh"
    lifetime = dt.timedelta(seconds=settings.REFRESH_TOKEN_S)
    _token_backend = TokenBackend("HS256", settings.JWT_REFRESH_SECRET)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says."""

    user_id: str
    roles: frozenset[str]
    device_id: str | None
    session_id: str | None
    jti: str
    family: str | None
    expires_at: int  # Unix seconds
    issued_at: int  # Unix seconds


def issue(
    user_id: str,
    *,
    roles: Iterable[str] = ("user",),
    device_id: str | None = None,
    session_id: str | None = None,
    family: str | None = None,
    access_ttl_s: int | None = None,
) -> dict[str, Any]:
    """A new pair for `user_id`, in the wire form of OPS-18."""
    claims = {
        "user_id": user_id,
        "roles": sorted(set(roles)),
        "fam": family or str(uuid.uuid4()),
        **({"device_id": device_id} if device_id else {}),
        **({"session_id": session_id} if session_id else {}),
    }
    access, refresh = AccessToken(), RefreshToken()
    if access_ttl_s is not None:
        access.set_exp(lifetime=dt.timedelta(seconds=access_ttl_s))
    for token in (access, refresh):
        token.payload.update(claims)
    return {
        "access_token": str(access),
        "token_type": "Bearer",
        "expires_in": access_ttl_s or settings.ACCESS_TOKEN_S,
        "refresh_token": str(refresh),
        "refresh_expires_in": settings.REFRESH_TOKEN_S,
        "user_id": user_id,
        "roles": claims["roles"],
        "device_id": device_id,
        "session_id": session_id,
    }


def verify(text: str) -> Claims:
    """The claims of a valid token. Raises Unauthenticated, with one and the same detail, for any other (OPS-17)."""
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise Unauthenticated
    try:
        claims = _read(text)
    except (TokenError, ValueError, TypeError, KeyError) as error:
        raise Unauthenticated from error
    if claims.expires_at <= time.time():
        raise Unauthenticated
    return claims


@functools.lru_cache(maxsize=4096)
def _read(text: str) -> Claims:
    """What a token says whose signature is good; a device sends the same one for minutes, and only time changes."""
    return _claims(AccessToken(text).payload)  # type: ignore[arg-type]  # simplejwt takes text too


def verify_refresh(text: str) -> Claims:
    """The claims of a refresh token. Raises RefreshExpired, RefreshInvalid."""
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise RefreshInvalid
    try:
        return _claims(RefreshToken(text).payload)  # type: ignore[arg-type]  # simplejwt takes text too
    except ExpiredTokenError as error:
        raise RefreshExpired from error
    except (TokenError, ValueError, TypeError, KeyError) as error:
        raise RefreshInvalid from error


def _claims(payload: dict[str, Any]) -> Claims:
    user_id, roles = payload["user_id"], payload.get("roles", ["user"])
    device_id, session_id, family = payload.get("device_id"), payload.get("session_id"), payload.get("fam")
    if not ids.is_actor_id(user_id) or not isinstance(roles, list) or not set(roles) <= ROLES:
        raise ValueError("user_id or roles")
    if device_id is not None and not ids.is_actor_id(device_id):
        raise ValueError("device_id")
    if family is not None and not ids.is_canonical_uuid(family):
        raise ValueError("fam")
    if session_id is not None and not ids.is_session_id(session_id):
        raise ValueError("session_id")
    return Claims(
        user_id=user_id,
        roles=frozenset(roles),
        device_id=device_id,
        session_id=session_id,
        jti=str(payload["jti"]),
        family=family,
        expires_at=int(payload["exp"]),
        issued_at=int(payload["iat"]),
    )
