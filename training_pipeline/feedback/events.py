"""The events that reports are about, as raw records: from their topic by exact offsets, or from a file.

A file holds JSON lines of two forms. `kcat -J` writes records with topic, partition, offset, key and payload; these are
found by their place. A line that is a chat event itself has no place, and is found by its text.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from schemas import chat_of_key
from training_pipeline.data.errors import DataError
from training_pipeline.data.kafka_range import KafkaRangeReader

Place = tuple[str, int, int]
"""Topic, partition, offset."""

_OF_KCAT: Final = frozenset({"topic", "partition", "offset", "payload"})


@dataclass
class RawEvents:
    """Records that were found."""

    by_place: dict[Place, bytes | None] = field(default_factory=dict)
    """None: a tombstone lies there."""
    placeless: list[bytes] = field(default_factory=list)
    """Chat events of which nobody knows where they lay."""
    tombstones: dict[str, list[Place]] = field(default_factory=dict)
    """Where chats were erased, as far as it was seen."""

    def is_erased(self, chat_id: str, place: Place | None) -> bool:
        """Say whether a tombstone of the chat lies behind an event; of an event without a place, whether any does."""
        marks = self.tombstones.get(chat_id, [])
        return any(place is None or (mark[:2] == place[:2] and mark[2] > place[2]) for mark in marks)


def events_on_topic(reader: KafkaRangeReader, places: Iterable[Place]) -> RawEvents:
    """Read the records at these places, and nothing between them.

    Raises:
        DataError: the broker does not answer, or there is no such topic.
    """
    wanted: defaultdict[str, defaultdict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for topic, partition, offset in places:
        wanted[topic][partition].add(offset)
    found = RawEvents()
    for topic, offsets in wanted.items():
        for record in reader.read_at(topic, offsets):
            found.by_place[topic, record.partition, record.offset] = record.raw
    return found


def events_in_file(path: Path) -> RawEvents:
    """Read all records of a file.

    Raises:
        DataError: it cannot be read, or a line is of neither form.
    """
    found = RawEvents()
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    _take(found, line, f"{path}:{number}")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); expected JSON lines of events") from error
    return found


def _take(found: RawEvents, line: bytes, where: str) -> None:
    try:
        document: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        document = None
    if isinstance(document, dict) and document.keys() >= _OF_KCAT:
        place = (document["topic"], document["partition"], document["offset"])
        payload, key = document["payload"], document.get("key")
        if not _is_place(place) or not isinstance(payload, str | None):
            raise DataError(f"{where}: no record; expected a topic, whole numbers and a text, as `kcat -J` writes them")
        found.by_place[place] = None if payload is None else payload.encode()
        if payload is None and isinstance(key, str) and (chat_id := chat_of_key(key.encode())) is not None:
            found.tombstones.setdefault(chat_id, []).append(place)
    elif isinstance(document, dict) and "chat_id" in document:
        found.placeless.append(line.strip())
    else:
        raise DataError(f"{where}: no event; expected a chat event, or a record as `kcat -J` writes it")


def _is_place(place: tuple[Any, Any, Any]) -> bool:
    topic, *numbers = place
    return isinstance(topic, str) and all(isinstance(n, int) and not isinstance(n, bool) for n in numbers)
