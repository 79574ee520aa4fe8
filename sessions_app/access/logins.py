"""Sign-ins and what becomes of them (OPS-18 to OPS-23): a pair, its rotation, its revocation."""

import datetime as dt
import hashlib
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from sessions_app import broadcast, clock
from sessions_app.access import accounts, revocations, tokens
from sessions_app.access.auth import Caller
from sessions_app.access.revocations import Revoked
from sessions_app.errors import RefreshInvalid, RefreshReused, RoleForbidden
from sessions_app.models import Login, RefreshTicket, Revocation

Pair = dict[str, Any]


@transaction.atomic
def begin(
    user_id: str,
    *,
    roles: Iterable[str] = ("user",),
    device_id: str | None = None,
    session_id: str | None = None,
    access_ttl_s: int | None = None,
) -> Pair:
    """A new sign-in of `user_id`: a token pair of a family of its own."""
    login = Login.objects.create(family=uuid.uuid4(), user_id=user_id, device_id=device_id, created_at=clock.now())
    return _pair(login, roles=roles, session_id=session_id, access_ttl_s=access_ttl_s)


def mint(
    user_id: str, *, by: Caller, roles: Sequence[str] | None, device_id: str | None, session_id: str | None
) -> Pair:
    """A pair for `user_id` on the word of `by`: an admin, a service, or a person for another device of its own.

    Raises RoleForbidden.
    """
    if "admin" in by.roles:
        granted = roles or ["user"]
    elif by.is_service:
        granted = roles or ["user"]
        if set(granted) != {"user"}:
            raise RoleForbidden
    elif by.user_id == user_id and device_id is not None and roles is None:
        granted = sorted(by.roles)
    else:
        raise RoleForbidden
    return begin(user_id, roles=granted, device_id=device_id, session_id=session_id)


def refresh(text: str) -> Pair:
    """Spend a refresh token for a new pair; of parallel calls exactly one succeeds (OPS-20).

    Raises RefreshInvalid, RefreshExpired; RefreshReused for a spent one, whose family dies with it.
    """
    claims = tokens.verify_refresh(text)
    with transaction.atomic():
        ticket = RefreshTicket.objects.select_for_update().filter(sha256=_sha256(text)).first()
        if ticket is None:
            raise RefreshInvalid
        login = Login.objects.select_for_update().get(pk=ticket.login_id)
        spent = ticket.spent_at is not None
        if not spent:
            if login.revoked_at is not None or not _may_sign_in(login.user_id):
                raise RefreshInvalid
            ticket.spent_at = clock.now()
            ticket.save(update_fields=["spent_at"])
            return _pair(login, roles=_roles_now(claims), session_id=claims.session_id)
    # A spent token means that two hold it: whoever has the newer pair loses it too.
    revoke(Login.objects.filter(pk=ticket.login_id))
    raise RefreshReused


@transaction.atomic
def revoke(
    logins: QuerySet[Login], *, also: Sequence[Revoked] = (), count_also: bool = True
) -> tuple[int, dt.datetime]:
    """Kill these families, and `also` tokens that no row stands for; how many were alive, and when."""
    at = clock.now()
    alive = list(logins.filter(revoked_at__isnull=True).select_for_update().values_list("family", flat=True))
    Login.objects.filter(family__in=alive).update(revoked_at=at)
    fresh = [one for one in also if not (count_also and _already(one))]
    found = [Revoked("family", str(family), at.timestamp()) for family in alive] + fresh
    revocations.record(found)
    if found:
        broadcast.revoked(found)
    return len(alive) + (len(fresh) if count_also else 0), at


def revoke_all(user_id: str) -> tuple[int, dt.datetime]:
    """Kill every sign-in of the user, tokens without a family included."""
    return revoke(
        Login.objects.filter(user_id=user_id),
        also=[Revoked("user", user_id, clock.now().timestamp())],
        count_also=False,
    )


def of_refresh_token(text: str) -> QuerySet[Login]:
    """The family a refresh token belongs to; none for one that is no token of ours."""
    return Login.objects.filter(refreshticket__sha256=_sha256(text))


def sweep(at: dt.datetime) -> int:
    """Forget logins whose last refresh token has expired; how many."""
    gone = Login.objects.exclude(refreshticket__expires_at__gt=at).filter(
        created_at__lt=at - dt.timedelta(seconds=settings.REFRESH_TOKEN_S)
    )
    return gone.delete()[0]


def _pair(login: Login, *, roles: Iterable[str], session_id: str | None, access_ttl_s: int | None = None) -> Pair:
    pair = tokens.issue(
        login.user_id,
        roles=roles,
        device_id=login.device_id,
        session_id=session_id,
        family=str(login.family),
        access_ttl_s=access_ttl_s,
    )
    RefreshTicket.objects.create(
        sha256=_sha256(pair["refresh_token"]),
        login=login,
        expires_at=clock.now() + dt.timedelta(seconds=settings.REFRESH_TOKEN_S),
    )
    return pair


def _already(revoked: Revoked) -> bool:
    return Revocation.objects.filter(kind=revoked.kind, value=revoked.value).exists()


def _roles_now(claims: tokens.Claims) -> Iterable[str]:
    """The roles of a person with an account are read anew; others keep theirs."""
    user = User.objects.filter(username=claims.user_id).first()
    return claims.roles if user is None else accounts.roles_of(user)


def _may_sign_in(user_id: str) -> bool:
    user = User.objects.filter(username=user_id).only("is_active").first()
    return user is None or user.is_active


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def of_token(claims: tokens.Claims) -> tuple[QuerySet[Login], Sequence[Revoked]]:
    """The family of a token, or the token alone if it has none."""
    if claims.family is None:
        return Login.objects.none(), [Revoked("jti", claims.jti, clock.now().timestamp())]
    logins = Login.objects.filter(family=claims.family)
    if not logins.exists():  # signed by another holder of the key: the family is known by name alone
        return logins, [Revoked("family", claims.family, clock.now().timestamp())]
    return logins, ()
