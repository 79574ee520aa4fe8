"""One JSON object per log line, ours and the libraries' alike (OPS-50)."""

import logging.config
from typing import Any

import structlog

from sessions_app import clock


def configure(wanted: dict[str, Any]) -> None:
    """Django's LOGGING_CONFIG hook; `wanted` has level, format, app_env, host_device_id."""
    constants = {"app_env": wanted["app_env"], "host_device_id": wanted["host_device_id"]}

    def stamped(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
        return {"timestamp": clock.stamp(clock.now()), **event, **{k: v for k, v in constants.items() if v}}

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.format_exc_info,
        stamped,
    ]
    render = structlog.dev.ConsoleRenderer() if wanted["format"] == "console" else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
                }
            },
            "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "line"}},
            "root": {"handlers": ["out"], "level": wanted["level"]},
            # Django repeats each 4xx and 5xx in a log of its own; request.finished has said it already.
            # uvicorn tells of every handshake, query string included; ws.closed tells of the sockets.
            "loggers": {
                "django.request": {"level": "CRITICAL"},
                "uvicorn.access": {"level": "CRITICAL"},
                "uvicorn.error": {"level": "WARNING"},
                "httpx": {"level": "WARNING"},
                "httpx2": {"level": "WARNING"},
            },
        }
    )
