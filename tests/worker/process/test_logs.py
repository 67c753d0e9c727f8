"""Log lines: JSON, complete, and without what does not belong there."""

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog

from worker.process import logs
from worker.process.lifecycle import Lifecycle

pytestmark = pytest.mark.usefixtures("default_logging_after")

CANARY = "zanzibar-canary"

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Lines:
    """Return what returns the lines written since; everything on standard error must be one."""

    def written() -> list[dict[str, Any]]:
        logs.drain()
        return [orjson.loads(line) for line in capfd.readouterr().err.splitlines()]

    return written


def crash(text: str) -> None:
    """Fail with chat text in a local variable."""
    held = {"content": text}
    raise ValueError(len(held))


def test_a_crash_is_logged_without_the_local_variables(lines: Lines) -> None:
    """The loop's variables hold whole batches of chat text, and settings hold secrets."""
    logs.configure("info")
    try:
        crash(CANARY)
    except ValueError:
        structlog.get_logger().exception("worker_crashed", exit_code=1)
    (parsed,) = lines()
    assert (parsed["event"], parsed["exception"][0]["exc_type"]) == ("worker_crashed", "ValueError")
    assert [frame["name"] for frame in parsed["exception"][0]["frames"]][-1] == "crash"
    assert CANARY not in str(parsed)


def test_lines_of_the_client_library_are_events_too(lines: Lines) -> None:
    """One format for whoever collects the logs."""
    logs.configure("info")
    logs.librdkafka_logger().log(logging.WARNING, "FAIL [%s]: %s", "broker", "connection refused")
    (parsed,) = lines()
    assert parsed["event"] == "librdkafka"
    assert (parsed["level"], parsed["message"]) == ("warning", "FAIL [broker]: connection refused")


def test_less_severe_lines_than_asked_for_are_left_out(lines: Lines) -> None:
    """MODERATION_LOG__LEVEL."""
    logs.configure("warning")
    structlog.get_logger().info("batch_done")
    assert lines() == []


def _log_by_a_library() -> None:
    logging.getLogger("urllib3.pool").warning("retrying %s", "it")


def _log_wrongly_by_a_library() -> None:
    logs.librdkafka_logger().log(35, "%d of %d", "it")


def _warn() -> None:
    warnings.warn("is deprecated", DeprecationWarning, stacklevel=1)


def _die_in_a_thread() -> None:
    thread = threading.Thread(target=crash, args=(CANARY,), name="worker-thread")
    thread.start()
    thread.join()


def _die_uncaught() -> None:
    try:
        crash(CANARY)
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)


class Dying:
    """Fails where nobody can catch it."""

    def __del__(self) -> None:
        raise ValueError(CANARY.upper())


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize(
    ("happen", "event", "level"),
    [
        (_log_by_a_library, "library_message", "warning"),
        (_log_wrongly_by_a_library, "librdkafka", "warning"),
        (_warn, "library_message", "warning"),
        (_die_in_a_thread, "thread_crashed", "error"),
        (_die_uncaught, "uncaught_exception", "error"),
        (lambda: Dying() and None, "unraisable_exception", "error"),
    ],
)
def test_whatever_writes_to_standard_error_becomes_one_line(
    happen: Callable[[], None], event: str, level: str, lines: Lines
) -> None:
    """A traceback of twenty lines is twenty broken records for a collector, and each could wait for a full pipe."""
    logs.configure("info")
    happen()
    (parsed,) = lines()
    assert (parsed["event"], parsed["level"]) == (event, level)
    assert parsed["timestamp"].endswith("Z")
    assert CANARY not in str(parsed)


def test_a_stop_is_logged_as_everything_else(lines: Lines) -> None:
    """With time and level: whoever looks for the reason of an end sorts by them."""
    logs.configure("info")
    lifecycle, before = Lifecycle(grace_s=60), signal.getsignal(signal.SIGTERM)
    lifecycle.install()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        assert lifecycle.stopping.wait(5)
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                thread.cancel()
    (parsed,) = lines()
    assert (parsed["event"], parsed["signal"], parsed["level"]) == ("stop_requested", signal.SIGTERM, "info")
    assert parsed["timestamp"].endswith("Z")


def test_credentials_of_an_address_are_masked_wherever_they_stand(lines: Lines) -> None:
    """In a field, in a list, in the text of an exception and in a library's own words."""
    logs.configure("info")
    address = f"redis://user:{CANARY}@cache:6379"
    log = structlog.get_logger()
    log.info("one", url=address, more=[{"path": Path(f"s3:/u:{CANARY}@bucket")}])
    logs.librdkafka_logger().warning("%s: connection refused", f"u:{CANARY}@broker:9092")
    log.error("two", exc_info=ValueError(address))
    found = lines()
    assert [line["event"] for line in found] == ["one", "librdkafka", "two"]
    assert CANARY not in str(found)
    assert found[0]["url"] == "redis://***@cache:6379"
    assert found[1]["message"] == "***@broker:9092: connection refused"
