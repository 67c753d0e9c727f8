"""The example that sends chats says what is wrong, and ends."""

import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = Path(__file__).parents[2] / "examples" / "send_chats.py"


def send_chats(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the example to its end."""
    command = [sys.executable, str(_PROGRAM), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("arguments", [[], ["a:9092", "topic", "more"]])
def test_wrong_arguments_show_the_usage(arguments: list[str]) -> None:
    """Not a traceback."""
    done = send_chats(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: send_chats.py [-h] BOOTSTRAP_SERVERS [TOPIC]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_kafka_that_is_not_there_ends_it_with_one_clear_line() -> None:
    """It had tried for ever. Port 9 discards, where anything listens there at all."""
    done = send_chats("127.0.0.1:9")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "chats were not acknowledged by Kafka at 127.0.0.1:9 within" in line
