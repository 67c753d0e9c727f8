"""Logging as the worker sets it up, undone after each test."""

import logging
import sys
import threading
from collections.abc import Iterator

import pytest
import structlog

from worker.process.log_sources import LibraryLog


@pytest.fixture
def default_logging_after() -> Iterator[None]:
    """Undo what `worker.process.logs.configure` does to the process."""
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
    yield
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, LibraryLog)]:
        root.removeHandler(handler)
    structlog.reset_defaults()
