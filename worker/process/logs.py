"""Structured logs: one JSON line per event on standard error; never chat text, never a secret."""

import logging
import sys
from typing import Any

import structlog
import structlog.tracebacks


def configure(level: str) -> None:
    """Set up structlog and route librdkafka's own log lines through it."""
    minimum = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Without local variables: those of the loop hold chat text.
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(minimum),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


class LibrdkafkaLog(logging.Handler):
    """Turns librdkafka's log lines into events."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line of the client library."""
        log: Any = structlog.get_logger()
        log.log(record.levelno, "librdkafka", message=record.getMessage())


def librdkafka_logger() -> logging.Logger:
    """Return the logger to hand to the Kafka clients."""
    # Not registered with the root logger: it has this one way out.
    logger = logging.Logger("librdkafka", logging.WARNING)  # noqa: LOG001
    logger.addHandler(LibrdkafkaLog())
    return logger
