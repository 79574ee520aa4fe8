"""Every setting of Baton: Django's sections, then ours by app."""

import os

from django.core.exceptions import ImproperlyConfigured

from config.knobs import BASE_DIR, Env, read, redis_url, rooted

VERSION = "1.1.0"  # of Baton, semantic; /health, the schema and the artefacts' tags say it

# Django

DEBUG = read("DEBUG")
_DEBUG_SECRET = "for-debugging-only-" if DEBUG else ""  # no default secret outside DEBUG (CON-18)
SECRET_KEY = read("SECRET_KEY") or (_DEBUG_SECRET and _DEBUG_SECRET + "django-secret-key-0123456789")
if not SECRET_KEY:
    raise ImproperlyConfigured("baton.E001: SECRET_KEY is missing. Set it to at least 32 random bytes.")
SERVER_ADDR = read("SERVER_ADDR")
PUBLIC_URL = read("PUBLIC_URL")
ALLOWED_HOSTS = read("ALLOWED_HOSTS") or (["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
ALLOWED_ORIGINS = read("ALLOWED_ORIGINS")
TRUSTED_PROXIES = read("TRUSTED_PROXIES")
SHUTDOWN_GRACE_S = read("SHUTDOWN_GRACE_S")

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

DATABASE_URL = read("DATABASE_URL")
if not DATABASE_URL:
    raise ImproperlyConfigured("baton.E005: DATABASE_URL is missing. Name a PostgreSQL 15 or newer, or use ./run.")
DB_POOL_MAX = read("DB_POOL_MAX")
DATABASES = {
    "default": {
        **Env.db_url_config(DATABASE_URL),
        "CONN_MAX_AGE": 0,  # a kept connection leaks under ASGI; the pool is what keeps them warm
        "OPTIONS": {"pool": {"min_size": 1, "max_size": DB_POOL_MAX, "timeout": 5}, "connect_timeout": 3},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = redis_url()
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

APP_ENV, DEVICE_ID = read("APP_ENV"), read("DEVICE_ID")
LOG_LEVEL, LOG_FORMAT, LOG_CLIENT_IP = read("LOG_LEVEL"), read("LOG_FORMAT"), read("LOG_CLIENT_IP")
LOGGING_CONFIG = "config.logs.configure"
LOGGING = {"level": LOG_LEVEL, "format": LOG_FORMAT, "app_env": APP_ENV, "host_device_id": DEVICE_ID}

AUTH_REQUIRED = read("AUTH_REQUIRED") or not DEBUG  # OPS-25: open only while debugging
AUTH_WAS_SWITCHED_OFF = not read("AUTH_REQUIRED")
JWT_SECRET = read("JWT_SECRET") or (_DEBUG_SECRET and _DEBUG_SECRET + "access-token-key-0123456789")
JWT_REFRESH_SECRET = read("JWT_REFRESH_SECRET") or (_DEBUG_SECRET and _DEBUG_SECRET + "refresh-token-key-0123456789")
ACCESS_TOKEN_S = 900  # seed 002: 15 minutes
REFRESH_TOKEN_S = 604800  # seed 002: 7 days
SERVICE_API_KEYS = dict(entry.split(":", 1) for entry in read("SERVICE_API_KEYS") if ":" in entry)

DATA_ROOT = rooted(read("DATA_ROOT"))
LOG_ROOT = rooted(read("LOG_ROOT"))
SESSION_TIMEOUT_SECONDS = read("SESSION_TIMEOUT_SECONDS")
SESSION_RATE = read("SESSION_RATE")
PRESENCE_TTL_S = read("PRESENCE_TTL_S")
HANDOFF_TTL_S = read("HANDOFF_TTL_S")
RESUME_MAX_GAP = read("RESUME_MAX_GAP")
WS_MAX_SIZE, WS_AUTH_TIMEOUT_S = read("WS_MAX_SIZE"), read("WS_AUTH_TIMEOUT_S")
WS_MAX_UNAUTHENTICATED_PER_IP = read("WS_MAX_UNAUTHENTICATED_PER_IP")
WS_MAX_CONNECTIONS_PER_USER = read("WS_MAX_CONNECTIONS_PER_USER")
WS_RATE_PER_S, WS_BURST = read("WS_RATE_PER_S"), read("WS_BURST")
SNAPSHOT_TTL_S = read("SNAPSHOT_TTL_S")
HISTORY_VERSIONS = read("HISTORY_VERSIONS")

COURSE_DATA_ROOT = rooted(read("COURSE_DATA_ROOT"))
DATASET_REGISTRY_PATH = (
    rooted(read("DATASET_REGISTRY_PATH")) if read("DATASET_REGISTRY_PATH") else COURSE_DATA_ROOT / "datasets.json"
)
SESSION_STORE_BACKEND = read("SESSION_STORE_BACKEND")
SESSION_STORE_FALLBACK = read("SESSION_STORE_FALLBACK")
SESSION_STORE_REDIS_URL = read("SESSION_STORE_REDIS_URL") or REDIS_URL
REDIS_SESSION_PREFIX = read("REDIS_SESSION_PREFIX")
HOLE_STATE_TTL_S = read("HOLE_STATE_TTL_S")
SURFACE_COMMIT_ON_STREAK = read("SURFACE_COMMIT_ON_STREAK")
SURFACE_COMMIT_OFF_STREAK = read("SURFACE_COMMIT_OFF_STREAK")
SURFACE_MARGIN_M, UNKNOWN_MARGIN_M = read("SURFACE_MARGIN_M"), read("UNKNOWN_MARGIN_M")
SURFACE_ACCURACY_MAX_M = read("SURFACE_ACCURACY_MAX_M")
SURFACE_GAP_S, SURFACE_MAX_SPEED_MPS = read("SURFACE_GAP_S"), read("SURFACE_MAX_SPEED_MPS")
COMPETITION_MODE_DEFAULT = read("COMPETITION_MODE_DEFAULT")
PUTT_SOLVER_URL, PUTT_SOLVER_API_KEY = read("PUTT_SOLVER_URL"), read("PUTT_SOLVER_API_KEY")
PUTT_SOLVER_TIMEOUT_S, PUTT_PAST_CUP_M = read("PUTT_SOLVER_TIMEOUT_S"), read("PUTT_PAST_CUP_M")
TEE_TO_GREEN_URL, TEE_TO_GREEN_API_KEY = read("TEE_TO_GREEN_URL"), read("TEE_TO_GREEN_API_KEY")
TEE_TO_GREEN_TIMEOUT_S = read("TEE_TO_GREEN_TIMEOUT_S")
PLANNER_PLAYER_JSON = read("PLANNER_PLAYER_JSON")
DEBUG_BUNDLE_ENABLED, DEBUG_BUNDLE_DIR = read("DEBUG_BUNDLE_ENABLED"), rooted(read("DEBUG_BUNDLE_DIR"))
DEBUG_BUNDLE_MAX_AGE_S, DEBUG_BUNDLE_MAX_COUNT = read("DEBUG_BUNDLE_MAX_AGE_S"), read("DEBUG_BUNDLE_MAX_COUNT")
RATE_ADVICE = read("RATE_ADVICE")
RATE_STATE = read("RATE_STATE")
RATE_HANDOFF, RATE_ADMIN = read("RATE_HANDOFF"), read("RATE_ADMIN")


EXTRACTOR_URL = read("EXTRACTOR_URL")
EXTRACTOR_KEY = read("EXTRACTOR_KEY")
EXTRACTOR_WORKERS = read("EXTRACTOR_WORKERS") or max(1, (os.cpu_count() or 2) - 1)
EXTRACTOR_BACKEND = read("EXTRACTOR_BACKEND")
# GES-49: two builds that can differ in output differ in tag
EXTRACTOR_TAG = read("EXTRACTOR_TAG") or f"baton-{VERSION}_mediapipe-0.10.21"
RATE_CAPTURE, RATE_CAPTURE_READ = read("RATE_CAPTURE"), read("RATE_CAPTURE_READ")

SESSION_TTL = read("SESSION_TTL")
POD_DRIVER = read("POD_DRIVER")
USER_POD_IMAGE = read("USER_POD_IMAGE")
USER_POD_PORT, USER_POD_HOST = read("USER_POD_PORT"), read("USER_POD_HOST")
PODS_NAMESPACE = read("PODS_NAMESPACE")
KEDA_REDIS_ADDRESS = read("KEDA_REDIS_ADDRESS")
POD_URL_TEMPLATE = read("POD_URL_TEMPLATE")
KUBECONFIG = read("KUBECONFIG")
POD_IDLE_SLEEP_S, POD_WAKE_TIMEOUT_S = read("POD_IDLE_SLEEP_S"), read("POD_WAKE_TIMEOUT_S")
POD_CHAT_TIMEOUT_S, CHAT_WAIT_S = read("POD_CHAT_TIMEOUT_S"), read("CHAT_WAIT_S")
CHAT_MAX_ATTEMPTS, CHAT_MAX_PENDING = read("CHAT_MAX_ATTEMPTS"), read("CHAT_MAX_PENDING")
CHAT_RETENTION_S = read("CHAT_RETENTION_S")
LOCAL_POD_COMMAND, LOCAL_PODS_MAX = read("LOCAL_POD_COMMAND"), read("LOCAL_PODS_MAX")
LLM_BASE_URL, LLM_MODEL, LLM_API_KEY = read("LLM_BASE_URL"), read("LLM_MODEL"), read("LLM_API_KEY")
LLM_TIMEOUT_S = read("LLM_TIMEOUT_S")
RATE_POD_CREATE, RATE_POD_WAKE, RATE_POD_CHAT = read("RATE_POD_CREATE"), read("RATE_POD_WAKE"), read("RATE_POD_CHAT")
RATE_POD_DELETE, RATE_POD_SLEEP, RATE_POD_READ = (
    read("RATE_POD_DELETE"),
    read("RATE_POD_SLEEP"),
    read("RATE_POD_READ"),
)
