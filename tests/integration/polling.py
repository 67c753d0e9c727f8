"""Wait for a condition with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


def wait_until(condition: Callable[[], T | None], *, timeout_s: float, what: Callable[[], str]) -> T:
    """Return the first true answer of a condition; fail the test with what was missing."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.02)
    pytest.fail(f"not within {timeout_s} s: {what()}")
