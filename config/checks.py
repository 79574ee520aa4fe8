"""Settings that must not go live (OPS-61): each error and warning names the variable and the remedy."""

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

SHORTEST_SECRET_BYTES = 32
# Values printed in documents: whoever reads them knows them.
PRINTED_SECRETS = frozenset({"harmony-flow-secret-key", "harmony-flow-refresh-secret-key", "my-secret"})
PLACEHOLDER_PASSWORD = "replace-this-password"
_RATE = re.compile(r"[1-9]\d*/[smhd]\Z", re.ASCII)
_EXTRACTOR_URL = re.compile(r"(local:|tcp://[^/?#@\s]+:\d{1,5})\Z", re.ASCII)
_EXTRACTOR_TAG = re.compile(r"[A-Za-z0-9._+-]{1,128}\Z", re.ASCII)
_PORT = re.compile(r"\d{1,5}\Z", re.ASCII)
LOG_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")
SHORTEST_SESSION_TIMEOUT_S = 60  # SES-53


@register
def refuse_unsafe_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """All findings; Django stops `migrate`, config/server.py the web process, on an error."""
    findings = [*_unreadable(), *_incomplete()]
    if not settings.DEBUG:
        findings += [*_secrets(), *_hosts(), *_extractor(), *_redis(), *_warnings()]
    return findings


def _secrets() -> Iterator[CheckMessage]:
    secrets = {name: getattr(settings, name) for name in ("SECRET_KEY", "JWT_SECRET", "JWT_REFRESH_SECRET")}
    for name, value in secrets.items():
        if len(value.encode()) < SHORTEST_SECRET_BYTES or value in PRINTED_SECRETS:
            yield Error(
                f"{name} is missing, shorter than {SHORTEST_SECRET_BYTES} bytes, or a value printed in a document.",
                hint=f"Set {name} to random bytes: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'",
                id="baton.E001",
            )
    if len(set(secrets.values())) < len(secrets):
        yield Error(
            "SECRET_KEY, JWT_SECRET and JWT_REFRESH_SECRET are not all different.",
            hint="Give each a value of its own.",
            id="baton.E001",
        )


def _hosts() -> Iterator[CheckMessage]:
    if not settings.ALLOWED_HOSTS or "*" in settings.ALLOWED_HOSTS:
        yield Error("ALLOWED_HOSTS is empty or *.", hint="Name the hosts this service answers for.", id="baton.E002")


def _extractor() -> Iterator[CheckMessage]:
    if settings.EXTRACTOR_BACKEND == "fake":
        yield Error(
            "EXTRACTOR_BACKEND=fake makes up its features.",
            hint="Leave it out, or set DEBUG=true to try things.",
            id="baton.E003",
        )
    if settings.EXTRACTOR_URL.startswith("tcp://") and not settings.EXTRACTOR_KEY:
        yield Error(
            "EXTRACTOR_URL is remote and EXTRACTOR_KEY is missing.",
            hint="Give the web process and run_extractor the same random EXTRACTOR_KEY.",
            id="baton.E003",
        )


def _redis() -> Iterator[CheckMessage]:
    if urlsplit(settings.REDIS_URL).password == PLACEHOLDER_PASSWORD:
        yield Error(
            "REDIS_PASSWORD is the placeholder of deploy/k8s/base/redis-secret.yaml.",
            hint="Put a random password into the Secret redis-credentials.",
            id="baton.E004",
        )


def _incomplete() -> Iterator[CheckMessage]:
    """Settings that need another one."""
    if settings.POD_DRIVER == "kubernetes" and not settings.USER_POD_IMAGE:
        yield Error(
            "POD_DRIVER=kubernetes and USER_POD_IMAGE is missing.",
            hint="Name the image of a user's pod in USER_POD_IMAGE.",
            id="baton.E007",
        )


def _unreadable() -> Iterator[CheckMessage]:
    """Values that parse as their type and mean nothing (baton.E006)."""
    for name in dir(settings):
        if (name.startswith("RATE_") or name.endswith("_RATE")) and not _is_rate(getattr(settings, name)):
            yield _bad(name, "Write <n>/<s|m|h|d>, or leave it empty for no limit.")
    for name, (means_something, remedy) in _FORMS.items():
        if not means_something(getattr(settings, name)):
            yield _bad(name, remedy)
    if settings.DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
        yield Error("DATABASE_URL is not PostgreSQL.", hint="Name a PostgreSQL 15 or newer.", id="baton.E005")


def _warnings() -> Iterator[CheckMessage]:
    if settings.AUTH_WAS_SWITCHED_OFF:
        yield Warning("AUTH_REQUIRED=false is ignored without DEBUG=true.", hint="Remove it.", id="baton.W001")
    if not settings.PUBLIC_URL.startswith("https://"):
        yield Warning(
            "PUBLIC_URL is not https: cookies are not secure and HSTS is off.",
            hint="Put a TLS proxy in front and name its URL in PUBLIC_URL.",
            id="baton.W003",
        )
    if {"0.0.0.0/0", "::/0"} & set(settings.TRUSTED_PROXIES):
        yield Warning(
            "TRUSTED_PROXIES trusts everybody: any client can choose its address.",
            hint="Name the networks of your proxies.",
            id="baton.W005",
        )


def _bad(name: str, remedy: str) -> Error:
    return Error(f"{name} has a value that means nothing.", hint=remedy, id="baton.E006")


def _is_rate(value: str) -> bool:
    return value == "" or _RATE.match(value) is not None


def _are_origins(values: list[str]) -> bool:
    parts = [urlsplit(value) for value in values]
    return all(
        one.scheme in ("http", "https") and one.netloc and "*" not in one.netloc and not one.path for one in parts
    )


def _are_networks(values: list[str]) -> bool:
    try:
        return all(ipaddress.ip_network(value, strict=False) for value in values)
    except ValueError:
        return False


def _has_port(value: str) -> bool:
    return _PORT.match(value.rpartition(":")[2]) is not None


_FORMS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "ALLOWED_ORIGINS": (_are_origins, "Write full origins such as https://example.org, without a path or wildcard."),
    "TRUSTED_PROXIES": (_are_networks, "Write networks such as 10.0.0.0/8."),
    "LOG_FORMAT": (("json", "console").__contains__, "Write json or console."),
    "LOG_LEVEL": (LOG_LEVELS.__contains__, f"Write one of {', '.join(LOG_LEVELS)}."),
    "EXTRACTOR_URL": (lambda url: _EXTRACTOR_URL.match(url) is not None, "Write local: or tcp://host:port."),
    "EXTRACTOR_BACKEND": (("holistic", "fake").__contains__, "Write holistic or fake."),
    "EXTRACTOR_TAG": (lambda tag: _EXTRACTOR_TAG.match(tag) is not None, "Write 1 to 128 of A-Z a-z 0-9 . _ + -"),
    "EXTRACTOR_WORKERS": ((1).__le__, "Write at least 1."),
    "SESSION_TIMEOUT_SECONDS": (SHORTEST_SESSION_TIMEOUT_S.__le__, f"Write at least {SHORTEST_SESSION_TIMEOUT_S}."),
    "POD_DRIVER": (("local", "kubernetes").__contains__, "Write local or kubernetes."),
    "SESSION_TTL": ((1).__le__, "Write at least 1."),
    "CHAT_MAX_ATTEMPTS": ((1).__le__, "Write at least 1."),
    "CHAT_MAX_PENDING": ((1).__le__, "Write at least 1."),
    "LOCAL_PODS_MAX": ((1).__le__, "Write at least 1."),
    "SERVER_ADDR": (_has_port, "Write host:port, or :port for every interface."),
}
