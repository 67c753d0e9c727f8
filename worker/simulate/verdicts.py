"""The verdicts that are decided again: lines of a file, or records of the verdict topic between two times."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from worker.errors import SettingsError
from worker.kafka.config import consumer_config
from worker.kafka.period import ranges_between
from worker.kafka.topic_scan import scan
from worker.record import Place
from worker.settings.kafka import KafkaSettings

STANDARD_INPUT = Path("-")


class WrittenVerdict(NamedTuple):
    """One value that should be a verdict, and where it lies."""

    value: bytes
    place: Place
    """Of a file its name, 0 and the line's number."""
    published_ms: int
    """Timestamp of the record; 0 of a line."""


def of_file(path: Path) -> Iterator[WrittenVerdict]:
    """Yield the lines of a file, blank ones left out.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        if path == STANDARD_INPUT:
            yield from _lines(sys.stdin.buffer, path)
            return
        with path.open("rb") as lines:
            yield from _lines(lines, path)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; expected a file of verdicts, one JSON line each") from error


def _lines(lines: Any, path: Path) -> Iterator[WrittenVerdict]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield WrittenVerdict(line, (str(path), 0, number), 0)


def of_topic(
    settings: KafkaSettings, topic: str, since_ms: int | None, until_ms: int | None
) -> Iterator[WrittenVerdict]:
    """Yield the committed records of a topic between two times, as they lie there now.

    Raises:
        Fatal: the brokers do not answer, or the topic is missing.
    """
    ranges = ranges_between(
        settings,
        topic,
        since_ms,
        until_ms,
        missing=", and there is no such file; expected verdicts; check --verdicts",
    )
    # Assigned by hand it joins no group; the name is there for the brokers' access lists.
    config: dict[str, Any] = consumer_config(settings) | {"group.id": f"{settings.group_id}.simulate"}
    config.pop("group.instance.id", None)
    for records in scan(config, ranges, timeout_s=settings.request_timeout_s):
        for record in records:
            if record.value is not None:
                yield WrittenVerdict(record.value, record.place, record.timestamp_ms)
