"""What else would write to standard error, and wait for its reader: libraries, warnings, uncaught exceptions.

Each becomes a log line, so that whoever collects the lines need not tell two formats apart.
"""

import logging
import sys
import threading
from types import TracebackType
from typing import Any

import structlog


class LibraryLog(logging.Handler):
    """Turns log records of the standard library's `logging` into events.

    Args:
        event: Name of the events.
    """

    def __init__(self, event: str) -> None:
        super().__init__()
        self._event = event

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line of a library."""
        log: Any = structlog.get_logger()
        named = {} if record.name == self._event else {"logger": record.name}
        # Libraries have levels of their own between the usual ones, which structlog does not know.
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        log.log(level, self._event, message=message_of(record), exc_info=record.exc_info, **named)


def message_of(record: logging.LogRecord) -> str:
    """Return the text of a record, without its arguments where they do not fit: `logging` would print a traceback."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)


def take_over_standard_error() -> None:
    """Let libraries' log records, warnings and uncaught exceptions become log lines. Twice is harmless."""
    root = logging.getLogger()
    if not any(isinstance(handler, LibraryLog) for handler in root.handlers):
        root.addHandler(LibraryLog("library_message"))
    logging.captureWarnings(capture=True)
    sys.excepthook = _on_uncaught
    sys.unraisablehook = _on_unraisable
    threading.excepthook = _on_thread


def _on_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    structlog.get_logger().error("uncaught_exception", exc_info=(kind, error, trace))


def _on_unraisable(found: "sys.UnraisableHookArgs") -> None:
    # Raised where nobody can catch it, as in a destructor.
    error = found.exc_value
    structlog.get_logger().error(
        "unraisable_exception",
        message=found.err_msg,
        exc_info=error and (found.exc_type, error, found.exc_traceback),
    )


def _on_thread(found: threading.ExceptHookArgs) -> None:
    error = found.exc_value
    structlog.get_logger().error(
        "thread_crashed",
        thread=found.thread and found.thread.name,
        exc_info=error and (found.exc_type, error, found.exc_traceback),
    )
