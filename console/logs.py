"""Structured logs: one JSON line per event on standard error; never text of a request, never a key."""

import logging
import sys
import traceback
from typing import Any

import structlog
import structlog.tracebacks


def configure(level: str) -> None:
    """Set up structlog and route uvicorn's own lines through it."""
    minimum = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(minimum),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    for name in ("uvicorn", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers = [_Through()]
        logger.setLevel(logging.WARNING)
        logger.propagate = False


class _Through(logging.Handler):
    """Turns lines of a library into events."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; of an exception its type and its place, since its text may quote a request."""
        fields: dict[str, Any] = {}
        if record.exc_info and (error := record.exc_info[1]) is not None:
            frames = traceback.extract_tb(error.__traceback__)[-10:]
            fields = {"error": type(error).__name__, "where": [f"{f.filename}:{f.lineno} {f.name}" for f in frames]}
        log: Any = structlog.get_logger()
        log.log(record.levelno, "server", logger=record.name, message=str(record.msg)[:200], **fields)
