"""Every setting of Baton: the environment first (OPS-63), then Django's sections, then ours by app."""

import os
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

VERSION = "1.1.0"  # of Baton, semantic; /health, the schema and the artefacts' tags say it
BASE_DIR = Path(__file__).resolve().parent.parent


class Env(environ.Env):  # type: ignore[misc]  # published without types
    """django-environ over a copy of the environment in which an empty value counts as absent."""

    ENVIRON = {name: value for name, value in os.environ.items() if value != ""}


# The whole list of knobs. `.env.example` names exactly these, and a test compares the two.
SCHEMA: dict[str, Any] = {
    "SERVER_ADDR": (str, "127.0.0.1:8080"),
    "PUBLIC_URL": (str, "http://localhost:8080"),
    "ALLOWED_HOSTS": (list, []),
    "ALLOWED_ORIGINS": (list, []),
    "TRUSTED_PROXIES": (list, []),
    "DEBUG": (bool, False),
    "AUTH_REQUIRED": (bool, True),
    "APP_ENV": (str, "local"),
    "DEVICE_ID": (str, ""),
    "SECRET_KEY": (str, ""),
    "JWT_SECRET": (str, ""),
    "JWT_REFRESH_SECRET": (str, ""),
    "SERVICE_API_KEYS": (list, []),
    "DATABASE_URL": (str, ""),
    "DB_POOL_MAX": (int, 10),
    "REDIS_URL": (str, ""),
    "REDIS_ADDR": (str, ""),
    "REDIS_HOST": (str, "127.0.0.1"),
    "REDIS_PORT": (str, "6379"),
    "REDIS_PASSWORD": (str, ""),
    "REDIS_DB": (int, 0),
    "DATA_ROOT": (str, "./data"),
    "LOG_ROOT": (str, "./logs"),
    "LOG_LEVEL": (str, "INFO"),
    "LOG_FORMAT": (str, "json"),
    "LOG_CLIENT_IP": (bool, False),
    "SHUTDOWN_GRACE_S": (int, 25),
    "SESSION_TIMEOUT_SECONDS": (int, 86400),
    "SESSION_RATE": (str, "120/m"),
    "PRESENCE_TTL_S": (int, 120),
    "HANDOFF_TTL_S": (int, 300),
    "RESUME_MAX_GAP": (int, 100),
    "WS_MAX_SIZE": (int, 524288),
    "WS_AUTH_TIMEOUT_S": (int, 10),
    "WS_MAX_UNAUTHENTICATED_PER_IP": (int, 200),
    "WS_MAX_CONNECTIONS_PER_USER": (int, 32),
    "WS_RATE_PER_S": (int, 20),
    "WS_BURST": (int, 200),
    "SESSION_TTL": (int, 86400),
    "POD_DRIVER": (str, "local"),
    "USER_POD_IMAGE": (str, ""),
    "USER_POD_PORT": (int, 1111),
    "USER_POD_HOST": (str, "0.0.0.0"),
    "PODS_NAMESPACE": (str, "default"),
    "KEDA_REDIS_ADDRESS": (str, ""),
    "POD_URL_TEMPLATE": (str, "http://{name}.{namespace}.svc.cluster.local:80"),
    "KUBECONFIG": (str, ""),
    "POD_IDLE_SLEEP_S": (float, 120),
    "POD_WAKE_TIMEOUT_S": (float, 120),
    "POD_CHAT_TIMEOUT_S": (float, 60),
    "CHAT_WAIT_S": (float, 5),
    "CHAT_MAX_ATTEMPTS": (int, 5),
    "CHAT_MAX_PENDING": (int, 1000),
    "CHAT_RETENTION_S": (int, 604800),
    "LOCAL_POD_COMMAND": (str, ""),
    "LOCAL_PODS_MAX": (int, 32),
    "LLM_BASE_URL": (str, ""),
    "LLM_MODEL": (str, ""),
    "LLM_API_KEY": (str, ""),
    "LLM_TIMEOUT_S": (float, 45),
    "RATE_POD_CREATE": (str, "100/m"),
    "RATE_POD_WAKE": (str, "50/m"),
    "RATE_POD_CHAT": (str, "100/m"),
    "RATE_POD_DELETE": (str, "50/m"),
    "RATE_POD_SLEEP": (str, "50/m"),
    "RATE_POD_READ": (str, "200/m"),
    "SNAPSHOT_TTL_S": (int, 604800),
    "HISTORY_VERSIONS": (int, 1000),
    "COURSE_DATA_ROOT": (str, "./routing/course_data"),
    "DATASET_REGISTRY_PATH": (str, ""),
    "SESSION_STORE_BACKEND": (str, "db"),
    "SESSION_STORE_FALLBACK": (bool, True),
    "SESSION_STORE_REDIS_URL": (str, ""),
    "REDIS_SESSION_PREFIX": (str, "baton:hole_session"),
    "HOLE_STATE_TTL_S": (int, 7200),
    "SURFACE_COMMIT_ON_STREAK": (int, 2),
    "SURFACE_COMMIT_OFF_STREAK": (int, 2),
    "SURFACE_MARGIN_M": (float, 0.5),
    "UNKNOWN_MARGIN_M": (float, 1.0),
    "SURFACE_ACCURACY_MAX_M": (float, 15.0),
    "SURFACE_GAP_S": (float, 30.0),
    "SURFACE_MAX_SPEED_MPS": (float, 15.0),
    "COMPETITION_MODE_DEFAULT": (bool, False),
    "PUTT_SOLVER_URL": (str, ""),
    "PUTT_SOLVER_API_KEY": (str, ""),
    "PUTT_SOLVER_TIMEOUT_S": (float, 4.0),
    "PUTT_PAST_CUP_M": (float, 0.30),
    "TEE_TO_GREEN_URL": (str, ""),
    "TEE_TO_GREEN_API_KEY": (str, ""),
    "TEE_TO_GREEN_TIMEOUT_S": (float, 3.0),
    "PLANNER_PLAYER_JSON": (str, ""),
    "DEBUG_BUNDLE_ENABLED": (bool, False),
    "DEBUG_BUNDLE_DIR": (str, "./var/debug_bundles"),
    "DEBUG_BUNDLE_MAX_AGE_S": (int, 604800),
    "DEBUG_BUNDLE_MAX_COUNT": (int, 1000),
    "RATE_ADVICE": (str, "600/m"),
    "RATE_STATE": (str, "1000/m"),
    "RATE_HANDOFF": (str, "10/m"),
    "RATE_ADMIN": (str, "300/m"),
    "EXTRACTOR_URL": (str, "local:"),
    "EXTRACTOR_KEY": (str, ""),
    "EXTRACTOR_WORKERS": (int, 0),
    "EXTRACTOR_BACKEND": (str, "holistic"),
    "EXTRACTOR_TAG": (str, ""),
    "RATE_CAPTURE": (str, "60/m"),
    "RATE_CAPTURE_READ": (str, "600/m"),
}

if env_file := os.environ.get("ENV_FILE"):
    Env.read_env(env_file, overwrite=False)
    Env.ENVIRON = {**{k: v for k, v in os.environ.items() if v != ""}, **Env.ENVIRON}
env = Env(**SCHEMA)


def _read(name: str) -> Any:
    """The value of one knob. Raises ImproperlyConfigured naming it when it does not parse (baton.E006)."""
    if (name.startswith("RATE_") or name.endswith("_RATE")) and os.environ.get(name) == "":
        return ""  # the one setting whose emptiness says something: no limit (OPS-47)
    try:
        return env(name)
    except Exception as error:
        raise ImproperlyConfigured(
            f"baton.E006: {name} does not parse: {error}. Correct it or leave it out."
        ) from error


def _rooted(path: str) -> Path:
    """A configured root; a relative one starts at the project, not at the working directory (SES-63)."""
    return (BASE_DIR / path).resolve()


def _redis_url() -> str:
    """REDIS_URL, else REDIS_ADDR, else the single members; Kubernetes writes REDIS_PORT as tcp://ip:port."""
    if url := _read("REDIS_URL"):
        return str(url)
    port = str(_read("REDIS_PORT")).rsplit(":", 1)[-1]
    address = _read("REDIS_ADDR") or f"{_read('REDIS_HOST')}:{port}"
    password = f":{_read('REDIS_PASSWORD')}@" if _read("REDIS_PASSWORD") else ""
    return f"redis://{password}{address}/{_read('REDIS_DB')}"


# Django

DEBUG = _read("DEBUG")
_DEBUG_SECRET = "for-debugging-only-" if DEBUG else ""  # no default secret outside DEBUG (CON-18)
SECRET_KEY = _read("SECRET_KEY") or (_DEBUG_SECRET and _DEBUG_SECRET + "django-secret-key-0123456789")
if not SECRET_KEY:
    raise ImproperlyConfigured("baton.E001: SECRET_KEY is missing. Set it to at least 32 random bytes.")
SERVER_ADDR = _read("SERVER_ADDR")
PUBLIC_URL = _read("PUBLIC_URL")
ALLOWED_HOSTS = _read("ALLOWED_HOSTS") or (["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
ALLOWED_ORIGINS = _read("ALLOWED_ORIGINS")
TRUSTED_PROXIES = _read("TRUSTED_PROXIES")
SHUTDOWN_GRACE_S = _read("SHUTDOWN_GRACE_S")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "config",
    "sessions_app",
    "devices",
    "gestures",
    "routing",
]
MIDDLEWARE = [  # plain calls in one thread; static files come before them (config/handler.py)
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
APPEND_SLASH = False  # paths are the seeds', verbatim (CON-3)
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASE_URL = _read("DATABASE_URL")
if not DATABASE_URL:
    raise ImproperlyConfigured("baton.E005: DATABASE_URL is missing. Name a PostgreSQL 15 or newer, or use ./run.")
DB_POOL_MAX = _read("DB_POOL_MAX")
DATABASES = {
    "default": {
        **Env.db_url_config(DATABASE_URL),
        "CONN_MAX_AGE": 0,  # a kept connection leaks under ASGI; the pool is what keeps them warm
        "OPTIONS": {"pool": {"min_size": 1, "max_size": DB_POOL_MAX, "timeout": 5}, "connect_timeout": 3},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = _redis_url()
CACHES = {  # names the keys of limits, which access/limits.py counts without it
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
}

AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]
LANGUAGE_CODE = "en-gb"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / ".static"
SERVESTATIC_USE_FINDERS = True
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "no-referrer"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
_https = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SILENCED_SYSTEM_CHECKS = [
    "django_ratelimit.W001",  # Django's own RedisCache counts atomically; the check knows only third-party backends
    "security.W004",  # HSTS, redirects and secure cookies follow PUBLIC_URL (OPS-59); baton.W003 says so
    "security.W008",
    "security.W012",
    "security.W016",
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["sessions_app.http.negotiation.BearerOrKey"],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["sessions_app.http.negotiation.StrictJsonParser"],
    "DEFAULT_RENDERER_CLASSES": ["sessions_app.http.negotiation.JsonRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "sessions_app.http.negotiation.AlwaysJson",
    "DEFAULT_SCHEMA_CLASS": "sessions_app.http.openapi.ContractSchema",
    "EXCEPTION_HANDLER": "config.errors.handle",
    "UNAUTHENTICATED_USER": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Baton",
    "DESCRIPTION": "One session: its boundaries, its state on every device, its captures, its pod, its golf advice.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": [],
    "SCHEMA_PATH_PREFIX": "/",
    "COMPONENT_SPLIT_REQUEST": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
    },
    "SECURITY": [{"bearer": []}, {"apiKey": []}],
}

# Ours

APP_ENV, DEVICE_ID = _read("APP_ENV"), _read("DEVICE_ID")
LOG_LEVEL, LOG_FORMAT, LOG_CLIENT_IP = _read("LOG_LEVEL"), _read("LOG_FORMAT"), _read("LOG_CLIENT_IP")
LOGGING_CONFIG = "config.logs.configure"
LOGGING = {"level": LOG_LEVEL, "format": LOG_FORMAT, "app_env": APP_ENV, "host_device_id": DEVICE_ID}

AUTH_REQUIRED = _read("AUTH_REQUIRED") or not DEBUG  # OPS-25: open only while debugging
AUTH_WAS_SWITCHED_OFF = not _read("AUTH_REQUIRED")
JWT_SECRET = _read("JWT_SECRET") or (_DEBUG_SECRET and _DEBUG_SECRET + "access-token-key-0123456789")
JWT_REFRESH_SECRET = _read("JWT_REFRESH_SECRET") or (_DEBUG_SECRET and _DEBUG_SECRET + "refresh-token-key-0123456789")
ACCESS_TOKEN_S = 900  # seed 002: 15 minutes
REFRESH_TOKEN_S = 604800  # seed 002: 7 days
SERVICE_API_KEYS = dict(entry.split(":", 1) for entry in _read("SERVICE_API_KEYS") if ":" in entry)

DATA_ROOT = _rooted(_read("DATA_ROOT"))
LOG_ROOT = _rooted(_read("LOG_ROOT"))
SESSION_TIMEOUT_SECONDS = _read("SESSION_TIMEOUT_SECONDS")
SESSION_RATE = _read("SESSION_RATE")
PRESENCE_TTL_S = _read("PRESENCE_TTL_S")
HANDOFF_TTL_S = _read("HANDOFF_TTL_S")
RESUME_MAX_GAP = _read("RESUME_MAX_GAP")
WS_MAX_SIZE, WS_AUTH_TIMEOUT_S = _read("WS_MAX_SIZE"), _read("WS_AUTH_TIMEOUT_S")
WS_MAX_UNAUTHENTICATED_PER_IP = _read("WS_MAX_UNAUTHENTICATED_PER_IP")
WS_MAX_CONNECTIONS_PER_USER = _read("WS_MAX_CONNECTIONS_PER_USER")
WS_RATE_PER_S, WS_BURST = _read("WS_RATE_PER_S"), _read("WS_BURST")
SNAPSHOT_TTL_S = _read("SNAPSHOT_TTL_S")
HISTORY_VERSIONS = _read("HISTORY_VERSIONS")

COURSE_DATA_ROOT = _rooted(_read("COURSE_DATA_ROOT"))
DATASET_REGISTRY_PATH = (
    _rooted(_read("DATASET_REGISTRY_PATH")) if _read("DATASET_REGISTRY_PATH") else COURSE_DATA_ROOT / "datasets.json"
)
SESSION_STORE_BACKEND = _read("SESSION_STORE_BACKEND")
SESSION_STORE_FALLBACK = _read("SESSION_STORE_FALLBACK")
SESSION_STORE_REDIS_URL = _read("SESSION_STORE_REDIS_URL") or REDIS_URL
REDIS_SESSION_PREFIX = _read("REDIS_SESSION_PREFIX")
HOLE_STATE_TTL_S = _read("HOLE_STATE_TTL_S")
SURFACE_COMMIT_ON_STREAK = _read("SURFACE_COMMIT_ON_STREAK")
SURFACE_COMMIT_OFF_STREAK = _read("SURFACE_COMMIT_OFF_STREAK")
SURFACE_MARGIN_M, UNKNOWN_MARGIN_M = _read("SURFACE_MARGIN_M"), _read("UNKNOWN_MARGIN_M")
SURFACE_ACCURACY_MAX_M = _read("SURFACE_ACCURACY_MAX_M")
SURFACE_GAP_S, SURFACE_MAX_SPEED_MPS = _read("SURFACE_GAP_S"), _read("SURFACE_MAX_SPEED_MPS")
COMPETITION_MODE_DEFAULT = _read("COMPETITION_MODE_DEFAULT")
PUTT_SOLVER_URL, PUTT_SOLVER_API_KEY = _read("PUTT_SOLVER_URL"), _read("PUTT_SOLVER_API_KEY")
PUTT_SOLVER_TIMEOUT_S, PUTT_PAST_CUP_M = _read("PUTT_SOLVER_TIMEOUT_S"), _read("PUTT_PAST_CUP_M")
TEE_TO_GREEN_URL, TEE_TO_GREEN_API_KEY = _read("TEE_TO_GREEN_URL"), _read("TEE_TO_GREEN_API_KEY")
TEE_TO_GREEN_TIMEOUT_S = _read("TEE_TO_GREEN_TIMEOUT_S")
PLANNER_PLAYER_JSON = _read("PLANNER_PLAYER_JSON")
DEBUG_BUNDLE_ENABLED, DEBUG_BUNDLE_DIR = _read("DEBUG_BUNDLE_ENABLED"), _rooted(_read("DEBUG_BUNDLE_DIR"))
DEBUG_BUNDLE_MAX_AGE_S, DEBUG_BUNDLE_MAX_COUNT = _read("DEBUG_BUNDLE_MAX_AGE_S"), _read("DEBUG_BUNDLE_MAX_COUNT")
RATE_ADVICE = _read("RATE_ADVICE")
RATE_STATE = _read("RATE_STATE")
RATE_HANDOFF, RATE_ADMIN = _read("RATE_HANDOFF"), _read("RATE_ADMIN")


EXTRACTOR_URL = _read("EXTRACTOR_URL")
EXTRACTOR_KEY = _read("EXTRACTOR_KEY")
EXTRACTOR_WORKERS = _read("EXTRACTOR_WORKERS") or max(1, (os.cpu_count() or 2) - 1)
EXTRACTOR_BACKEND = _read("EXTRACTOR_BACKEND")
# GES-49: two builds that can differ in output differ in tag
EXTRACTOR_TAG = _read("EXTRACTOR_TAG") or f"baton-{VERSION}_mediapipe-0.10.21"
RATE_CAPTURE, RATE_CAPTURE_READ = _read("RATE_CAPTURE"), _read("RATE_CAPTURE_READ")

SESSION_TTL = _read("SESSION_TTL")
POD_DRIVER = _read("POD_DRIVER")
USER_POD_IMAGE = _read("USER_POD_IMAGE")
USER_POD_PORT, USER_POD_HOST = _read("USER_POD_PORT"), _read("USER_POD_HOST")
PODS_NAMESPACE = _read("PODS_NAMESPACE")
KEDA_REDIS_ADDRESS = _read("KEDA_REDIS_ADDRESS")
POD_URL_TEMPLATE = _read("POD_URL_TEMPLATE")
KUBECONFIG = _read("KUBECONFIG")
POD_IDLE_SLEEP_S, POD_WAKE_TIMEOUT_S = _read("POD_IDLE_SLEEP_S"), _read("POD_WAKE_TIMEOUT_S")
POD_CHAT_TIMEOUT_S, CHAT_WAIT_S = _read("POD_CHAT_TIMEOUT_S"), _read("CHAT_WAIT_S")
CHAT_MAX_ATTEMPTS, CHAT_MAX_PENDING = _read("CHAT_MAX_ATTEMPTS"), _read("CHAT_MAX_PENDING")
CHAT_RETENTION_S = _read("CHAT_RETENTION_S")
LOCAL_POD_COMMAND, LOCAL_PODS_MAX = _read("LOCAL_POD_COMMAND"), _read("LOCAL_PODS_MAX")
LLM_BASE_URL, LLM_MODEL, LLM_API_KEY = _read("LLM_BASE_URL"), _read("LLM_MODEL"), _read("LLM_API_KEY")
LLM_TIMEOUT_S = _read("LLM_TIMEOUT_S")
RATE_POD_CREATE, RATE_POD_WAKE, RATE_POD_CHAT = _read("RATE_POD_CREATE"), _read("RATE_POD_WAKE"), _read("RATE_POD_CHAT")
RATE_POD_DELETE, RATE_POD_SLEEP, RATE_POD_READ = (
    _read("RATE_POD_DELETE"),
    _read("RATE_POD_SLEEP"),
    _read("RATE_POD_READ"),
)
