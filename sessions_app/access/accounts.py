"""People with an account: the password way in, and the roles that groups give (OPS-18, OPS-19)."""

from django.contrib.auth import authenticate
from django.contrib.auth.models import User

from sessions_app import ids
from sessions_app.errors import InvalidCredentials


def check_password(username: str, password: str) -> User:
    """The person. Raises InvalidCredentials, alike for every reason and after one hash each (OPS-19)."""
    user = authenticate(username=username, password=password)
    if not isinstance(user, User) or not ids.is_actor_id(username):
        raise InvalidCredentials
    return user


def roles_of(user: User) -> set[str]:
    """`user` always; `operator` and `admin` by group, `admin` by the superuser flag too."""
    groups = set(user.groups.filter(name__in=("operator", "admin")).values_list("name", flat=True))
    return {"user", *groups, *(("admin",) if user.is_superuser else ())}
