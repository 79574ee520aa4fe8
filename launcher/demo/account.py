"""An account that lives as long as one demo, so that its sign-in is a real one."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def opened() -> Iterator[tuple[str, str]]:
    """Name and password of a person who is gone again afterwards."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.db import connection

    name, password = f"demo-{secrets.token_hex(3)}", secrets.token_urlsafe(16)
    person = User.objects.create_user(name, password=password)
    try:
        yield name, password
    finally:
        person.delete()
        connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's wrapper has it
