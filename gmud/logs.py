"""Structured logs: one line per event, request id included, secrets blotted out."""

import logging.config
from typing import Any

import structlog

from gmud.env import env
from releases.core.redaction import processor as redact

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
    if env.bool("GMUD_LOG_JSON", default=False)
    else structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"])
)


def _no_probes(record: logging.LogRecord) -> bool:
    """Leave out what Django says about a probe that was told "not ready": that is an answer, not an error."""
    return getattr(getattr(record, "request", None), "path", "") not in {"/healthz", "/readyz"}


LOGGING_STRUCTURE: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _RENDERER],
            "foreign_pre_chain": _SHARED,
        }
    },
    "filters": {"no_probes": {"()": lambda: _no_probes}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["no_probes"]}},
    "root": {"handlers": ["stderr"], "level": env.str("GMUD_LOG_LEVEL", default="WARNING")},
    "loggers": {
        "gmud": {"level": env.str("GMUD_LOG_LEVEL", default="INFO")},
        "releases": {"level": env.str("GMUD_LOG_LEVEL", default="INFO")},
    },
}


def configure() -> None:
    """Set up the standard library's logging and structlog on top of it."""
    logging.config.dictConfig(LOGGING_STRUCTURE)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
