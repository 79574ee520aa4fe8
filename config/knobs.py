"""What a deployment may choose, with defaults: from the environment, or from the file that ENV_FILE names (OPS-63)."""

import os
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

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
_env = Env(**SCHEMA)


def read(name: str) -> Any:
    """The value of one knob. Raises ImproperlyConfigured naming it when it does not parse (baton.E006)."""
    if (name.startswith("RATE_") or name.endswith("_RATE")) and os.environ.get(name) == "":
        return ""  # the one setting whose emptiness says something: no limit (OPS-47)
    try:
        return _env(name)
    except Exception as error:
        raise ImproperlyConfigured(
            f"baton.E006: {name} does not parse: {error}. Correct it or leave it out."
        ) from error


def rooted(path: str) -> Path:
    """A configured root; a relative one starts at the project, not at the working directory (SES-63)."""
    return (BASE_DIR / path).resolve()


def redis_url() -> str:
    """REDIS_URL, else REDIS_ADDR, else the single members; Kubernetes writes REDIS_PORT as tcp://ip:port."""
    if url := read("REDIS_URL"):
        return str(url)
    port = str(read("REDIS_PORT")).rsplit(":", 1)[-1]
    address = read("REDIS_ADDR") or f"{read('REDIS_HOST')}:{port}"
    password = f":{read('REDIS_PASSWORD')}@" if read("REDIS_PASSWORD") else ""
    return f"redis://{password}{address}/{read('REDIS_DB')}"
