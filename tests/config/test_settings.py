"""The environment: what is read, what is documented, what stops the boot (OPS-61, OPS-63)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from config import checks
from config.knobs import SCHEMA

SAFE = {
    "SECRET_KEY": "s" * 40, "JWT_SECRET": "j" * 40, "JWT_REFRESH_SECRET": "r" * 40, "ALLOWED_HOSTS": "example.org",
    "DATABASE_URL": "postgres://app@127.0.0.1:1/none", "PATH": os.environ["PATH"],
}  # fmt: skip


def boot(**env):
    """`manage.py check` in a process of its own with exactly this environment: its exit code and stderr."""
    ran = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=settings.BASE_DIR, env={**SAFE, **env}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return ran.returncode, ran.stderr


def findings():
    """The ids of what the checks find in the settings as they are, each with the text for people."""
    return {str(found.id): f"{found.msg} {found.hint}" for found in checks.refuse_unsafe_settings(None)}


@pytest.fixture
def live(settings):
    """Settings as they should be outside debugging."""
    settings.DEBUG = False
    settings.SECRET_KEY, settings.JWT_SECRET, settings.JWT_REFRESH_SECRET = "s" * 40, "j" * 40, "r" * 40
    settings.ALLOWED_HOSTS, settings.PUBLIC_URL = ["example.org"], "https://example.org"
    return settings


def test_env_example_names_exactly_the_settings():
    named = re.findall(r"^([A-Z][A-Z0-9_]*)=", Path(settings.BASE_DIR, ".env.example").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(SCHEMA)


def test_safe_settings_boot_without_a_word():
    code, said = boot(PUBLIC_URL="https://example.org")
    assert (code, "baton." in said) == (0, False), said


@pytest.mark.parametrize(
    ("env", "finding"),
    [
        ({"JWT_SECRET": "short"}, "baton.E001"),
        ({"SECRET_KEY": ""}, "baton.E001"),
        ({"DATABASE_URL": ""}, "baton.E005"),
        ({"DB_POOL_MAX": "ten"}, "baton.E006"),
    ],
)
def test_an_unsafe_setting_stops_the_boot_and_is_named(env, finding):
    """OPS-87."""
    code, said = boot(**env)
    assert code != 0
    assert finding in said
    assert next(iter(env)) in said


def test_settings_as_they_should_be_are_not_complained_of(live):
    assert findings() == {}


@pytest.mark.parametrize(
    ("name", "value", "finding"),
    [
        ("SECRET_KEY", "x" * 31, "baton.E001"),
        ("JWT_SECRET", "harmony-flow-secret-key", "baton.E001"),
        ("JWT_SECRET", "r" * 40, "baton.E001"),
        ("ALLOWED_HOSTS", [], "baton.E002"),
        ("ALLOWED_HOSTS", ["*"], "baton.E002"),
        ("SESSION_RATE", "many", "baton.E006"),
        ("SESSION_RATE", "0/m", "baton.E006"),
        ("ALLOWED_ORIGINS", ["https://example.org/path"], "baton.E006"),
        ("ALLOWED_ORIGINS", ["https://*.example.org"], "baton.E006"),
        ("TRUSTED_PROXIES", ["everybody"], "baton.E006"),
        ("SESSION_TIMEOUT_SECONDS", 59, "baton.E006"),
        ("LOG_LEVEL", "LOUD", "baton.E006"),
        ("SERVER_ADDR", "localhost", "baton.E006"),
        ("AUTH_WAS_SWITCHED_OFF", True, "baton.W001"),
        ("PUBLIC_URL", "http://example.org", "baton.W003"),
        ("TRUSTED_PROXIES", ["0.0.0.0/0"], "baton.W005"),
    ],
)
def test_each_unsafe_value_is_found(live, name, value, finding):
    """OPS-61, OPS-25."""
    setattr(live, name, value)
    assert finding in findings()


def test_while_debugging_secrets_may_be_weak_and_forms_may_not(live):
    live.DEBUG, live.JWT_SECRET, live.SESSION_RATE = True, "x", "many"
    assert set(findings()) == {"baton.E006"}
