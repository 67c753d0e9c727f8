"""Structured logs: one JSON line per event on standard error; never chat text, never a secret.

Whatever else would write there becomes such a line, too (`worker.process.log_sources`), and moderation never waits for
whoever reads them (`worker.process.log_writer`).
"""

import atexit
import logging
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import structlog
import structlog.tracebacks
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from worker.process.log_sources import LibraryLog, take_over_standard_error
from worker.process.log_writer import LogWriter
from worker.process.masking import masked_all
from worker.process.repeated_lines import RepeatedLines

_STANDARD_ERROR: Final = 2
DRAIN_S: Final = 1.0
"""How long the end of the process waits for the last lines to be written."""


class _Lines:
    """What structlog hands its lines to."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    def msg(self, line: str) -> None:
        self._writer.put(line)

    def error_msg(self, line: str) -> None:
        self._writer.put(line, is_error=True)

    debug = info = warning = msg
    error = critical = error_msg


def configure(level: str) -> None:
    """Set up structlog, and let the lines of all libraries, warnings and uncaught exceptions go through it."""
    minimum = logging.getLevelNamesMapping()[level.upper()]
    lines = _Lines(_writer())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Without local variables: those of the loop hold chat text.
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            lambda _logger, _method, event: masked_all(event),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(minimum),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    take_over_standard_error()


def drain() -> None:
    """Wait, for a short while, until all lines so far are written: for the end of the process."""
    if _writer.cache_info().currsize:
        _writer().drain(DRAIN_S)


@cache
def _writer() -> LogWriter:
    """Return the one writer of the process: standard error is one, too."""
    descriptor = _STANDARD_ERROR
    if sys.stderr is None:
        # Started without a standard error. Its number would be given to the next connection, and lines be sent there.
        while (spare := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
            pass
        descriptor = spare
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  (open until the process ends)
    atexit.register(drain)
    return LogWriter(descriptor)


class DroppedLines(Collector):
    """Counts the log lines that were not written."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the count."""
        n_dropped = _writer().n_dropped if _writer.cache_info().currsize else 0
        yield CounterMetricFamily(
            "moderation_log_lines_dropped",
            "Log lines that were not written: standard error is slow, full or closed.",
            value=n_dropped,
        )


def librdkafka_logger() -> logging.Logger:
    """Return the logger to hand to the Kafka clients."""
    # Not registered with the root logger: it has this one way out.
    logger = logging.Logger("librdkafka", logging.WARNING)  # noqa: LOG001
    logger.addFilter(_repeated_lines())
    logger.addHandler(LibraryLog("librdkafka"))
    return logger


@cache
def _repeated_lines() -> RepeatedLines:
    """Return the one filter of all clients: a probe opens a new one every few seconds, and each tells the same."""
    return RepeatedLines()
