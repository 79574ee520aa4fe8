"""People with an account: the password way in, and the roles that groups give (OPS-18, OPS-19)."""

from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.models import User

from sessions_app import ids, tokens
from sessions_app.errors import Unauthenticated


class InvalidCredentials(Unauthenticated):
    """The name or the password is wrong, or the account cannot sign in."""

    code, remedy = "INVALID_CREDENTIALS", "Check the name and the password."


def sign_in(*, username: str, password: str, **claims: Any) -> dict[str, Any]:
    """A new token pair for a person. Raises InvalidCredentials, alike for every reason and after one hash (OPS-19)."""
    user = authenticate(username=username, password=password)
    if user is None or not ids.is_actor_id(username):
        raise InvalidCredentials
    return tokens.issue(user.get_username(), roles=roles_of(user), **claims)


def roles_of(user: User) -> set[str]:
    """`user` always; `operator` and `admin` by group, `admin` by the superuser flag too."""
    groups = set(user.groups.filter(name__in=("operator", "admin")).values_list("name", flat=True))
    return {"user", *groups, *(("admin",) if user.is_superuser else ())}
