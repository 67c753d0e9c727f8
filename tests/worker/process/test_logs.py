"""Log lines: JSON, complete, and without what does not belong there."""

import logging

import orjson
import pytest
import structlog

from worker.process import logs

CANARY = "zanzibar-canary"


@pytest.fixture(autouse=True)
def _default_logging_after() -> object:
    yield
    structlog.reset_defaults()


def crash(text: str) -> None:
    """Fail with chat text in a local variable."""
    held = {"content": text}
    raise ValueError(len(held))


def test_a_crash_is_logged_without_the_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """The loop's variables hold whole batches of chat text, and settings hold secrets."""
    logs.configure("info")
    try:
        crash(CANARY)
    except ValueError:
        structlog.get_logger().exception("worker_crashed", exit_code=1)
    line = capsys.readouterr().err
    parsed = orjson.loads(line)
    assert (parsed["event"], parsed["exception"][0]["exc_type"]) == ("worker_crashed", "ValueError")
    assert [frame["name"] for frame in parsed["exception"][0]["frames"]][-1] == "crash"
    assert CANARY not in line


def test_lines_of_the_client_library_are_events_too(capsys: pytest.CaptureFixture[str]) -> None:
    """One format for whoever collects the logs."""
    logs.configure("info")
    logs.librdkafka_logger().log(logging.WARNING, "FAIL [%s]: %s", "broker", "connection refused")
    parsed = orjson.loads(capsys.readouterr().err)
    assert parsed["event"] == "librdkafka"
    assert (parsed["level"], parsed["message"]) == ("warning", "FAIL [broker]: connection refused")


def test_less_severe_lines_than_asked_for_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """MODERATION_LOG__LEVEL."""
    logs.configure("warning")
    structlog.get_logger().info("batch_done")
    assert capsys.readouterr().err == ""
