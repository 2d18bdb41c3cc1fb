"""Structured logs: one line per event, request id included, secrets blotted out. JSON where no person looks."""

import logging.config
import sys
from collections.abc import Iterable
from typing import Any

import structlog

from gmud.env import env
from releases.core.redaction import processor as redact
from releases.core.redaction import remember

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    redact,
]
_RENDERER: Any = (
    structlog.processors.JSONRenderer()
    if env.bool("GMUD_LOG_JSON", default=not sys.stderr.isatty())
    else structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"])
)


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out what Django says once more: "not ready" to a probe is an answer, and refusals have their own line."""
    if record.name != "django.request":
        return True
    path = getattr(getattr(record, "request", None), "path", "")
    return record.levelno >= logging.ERROR and path not in {"/healthz", "/readyz"}


def line(renderer: Any) -> logging.Formatter:
    """Return what makes one line of a record, ours or anybody's."""
    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer], foreign_pre_chain=_SHARED
    )


LOGGING_STRUCTURE: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": lambda: line(_RENDERER)},
    },
    "filters": {"news": {"()": lambda: _is_news}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["news"]}},
    "root": {"handlers": ["stderr"], "level": env.str("GMUD_LOG_LEVEL", default="WARNING")},
    "loggers": {
        "gmud": {"level": env.str("GMUD_LOG_LEVEL", default="INFO")},
        "releases": {"level": env.str("GMUD_LOG_LEVEL", default="INFO")},
    },
}


def configure(*, secrets: Iterable[str] = ()) -> None:
    """Set up the standard library's logging and structlog on top of it; these secrets never show in a line."""
    for secret in secrets:
        remember(secret)
    logging.config.dictConfig(LOGGING_STRUCTURE)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
