"""Wait for a condition: with a deadline, or for as long as something moves."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from testkit.errors import HarnessError

T = TypeVar("T")

_LOOK_CLOSELY_S: Final = 0.005


def wait_until(
    condition: Callable[[], T | None],
    *,
    timeout_s: float = 30.0,
    what: Callable[[], str] = lambda: "no answer was true",
    every_s: float = 0.02,
) -> T:
    """Return the first true answer of a condition.

    Args:
        condition: Asked again and again.
        timeout_s: For how long.
        what: Says what is missing, for the error.
        every_s: Pause between two questions.

    Raises:
        HarnessError: there was none in time.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(every_s)
    raise HarnessError(f"not within {timeout_s} s: {what()}")


def wait_with_progress(condition: Callable[[], bool], *, progress: Callable[[], int], quiet_s: float) -> bool:
    """Wait until a condition holds; return False when nothing has moved for `quiet_s`."""
    seen, since = progress(), time.monotonic()
    while not condition():
        if (now_seen := progress()) != seen:
            seen, since = now_seen, time.monotonic()
        elif time.monotonic() - since > quiet_s:
            return False
        time.sleep(_LOOK_CLOSELY_S)
    return True
