"""Recorded arrival times, from a file of timestamps or of chat events."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from loadtest.errors import LoadTestError

_FIELDS: Final = ("sent_at", "timestamp", "timestamp_ms", "occurred_at")
_UNITS: Final = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""From this size on, numbers are so many parts of a second since the epoch: nano, micro, milli."""
_EXPECTED: Final = (
    "expected one time per line: ISO 8601, a number (seconds, or ms, µs, ns since the epoch), or a JSON object with "
    f"{', '.join(_FIELDS)} or createdAt in its last message"
)


def read_arrivals(path: Path) -> list[float]:
    """Return the times of a file, one per line that is not blank, in seconds.

    Raises:
        LoadTestError: the file cannot be read, or a line holds no time.
    """
    try:
        times = list(_times(path))
    except OSError as error:
        raise LoadTestError(f"{path}: cannot be read ({error.strerror}); {_EXPECTED}") from error
    if not times:
        raise LoadTestError(f"{path}: holds no line; {_EXPECTED}")
    largest = max(times)
    # One unit for the whole file, so that a file of small relative times is not taken apart.
    parts = next((parts for limit, parts in _UNITS if largest >= limit), 1.0)
    return [one / parts for one in times]


def _times(path: Path) -> Iterator[float]:
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, start=1):
            line = raw.strip()
            if not line:
                continue
            try:
                yield _time(_value(line))
            except ValueError:
                # Neither the line nor the parser's error is quoted: it may be chat text.
                raise LoadTestError(f"{path}, line {number}: holds no time; {_EXPECTED}") from None


def _value(line: bytes) -> Any:
    if not line.startswith(b"{"):
        return line.decode().strip('"')
    event = orjson.loads(line)
    named = next((event[name] for name in _FIELDS if event.get(name) is not None), None)
    if named is not None:
        return named
    messages = event.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else {}
    return last.get("createdAt", last.get("created_at")) if isinstance(last, dict) else None


def _time(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} is no time")  # noqa: TRY004  one error for all lines without a time
    try:
        return float(value)
    except ValueError:
        moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
