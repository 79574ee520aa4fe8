"""The environment: what is read, what is documented, what stops the boot (OPS-61, OPS-63)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from config.settings import SCHEMA

SAFE = {
    "SECRET_KEY": "s" * 40, "JWT_SECRET": "j" * 40, "JWT_REFRESH_SECRET": "r" * 40, "ALLOWED_HOSTS": "example.org",
    "DATABASE_URL": "postgres://app@127.0.0.1:1/none", "PATH": os.environ["PATH"],
}  # fmt: skip


def check(**env):
    """`manage.py check` with exactly this environment; the settings are wrong, so no database is asked."""
    command = [sys.executable, "manage.py", "check"]
    ran = subprocess.run(
        command, cwd=settings.BASE_DIR, env={**SAFE, **env}, capture_output=True, text=True, timeout=60
    )
    return ran.returncode, ran.stderr


def test_env_example_names_exactly_the_settings():
    named = re.findall(r"^([A-Z_]+)=", Path(settings.BASE_DIR, ".env.example").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(SCHEMA)


def test_safe_settings_pass():
    code, said = check(PUBLIC_URL="https://example.org")
    assert (code, "baton." in said) == (0, False), said


@pytest.mark.parametrize(
    ("env", "finding"),
    [
        ({"JWT_SECRET": "short"}, "baton.E001"),
        ({"SECRET_KEY": ""}, "baton.E001"),
        ({"JWT_SECRET": "s" * 40}, "baton.E001"),
        ({"ALLOWED_HOSTS": "*"}, "baton.E002"),
        ({"DATABASE_URL": ""}, "baton.E005"),
        ({"DATABASE_URL": "sqlite:///x.db"}, "baton.E005"),
        ({"SESSION_RATE": "many"}, "baton.E006"),
        ({"DB_POOL_MAX": "ten"}, "baton.E006"),
        ({"ALLOWED_ORIGINS": "https://example.org/path"}, "baton.E006"),
        ({"TRUSTED_PROXIES": "everybody"}, "baton.E006"),
        ({"SESSION_TIMEOUT_SECONDS": "59"}, "baton.E006"),
    ],
)
def test_an_unsafe_setting_stops_the_boot_and_is_named(env, finding):
    """OPS-87."""
    code, said = check(**env)
    assert code != 0
    assert finding in said
    assert next(iter(env)) in said


def test_an_ignored_switch_is_a_warning():
    """OPS-25."""
    code, said = check(AUTH_REQUIRED="false")
    assert (code, "baton.W001" in said) == (0, True)
