"""Which topics are read, and where the reading of each begins. Pure."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from worker.kafka.partition_range import Partition, PartitionRange
from worker.kafka.start_offsets import start_offset
from worker.settings.kafka import KafkaSettings


class Kind(StrEnum):
    """What a topic holds."""

    REVIEWS = "reviews"
    VERDICTS = "verdicts"
    LETTERS = "letters"
    """Dead letters."""
    ERASURES = "erasures"


class Start(NamedTuple):
    """Where the reading of a partition begins."""

    before: int | None
    """The next offset as the database has it; None where it has none."""
    offset: int
    n_lost: int
    """Offsets that were not read before the broker deleted them: at most so many records."""


WHOLE = frozenset({Kind.REVIEWS, Kind.ERASURES})
"""A new database reads these from their beginning, the others from some minutes back."""


def topics_of(settings: KafkaSettings, *, reads_letters: bool = True) -> dict[str, Kind]:
    """Return the topics to read, those that the settings name.

    Args:
        settings: Name the topics.
        reads_letters: Whether dead letters are read, which hold text: a console without pages shows none of them.
    """
    named = {
        settings.reviews_topic: Kind.REVIEWS,
        settings.verdict_topic: Kind.VERDICTS,
        settings.dead_letter_topic if reads_letters else None: Kind.LETTERS,
        settings.erasures_topic: Kind.ERASURES,
    }
    return {topic: kind for topic, kind in named.items() if topic is not None}


def starts(
    topics: Mapping[str, Kind],
    ranges: Mapping[Partition, PartitionRange],
    stored: Mapping[Partition, int],
    since: Mapping[Partition, int | None],
) -> Iterator[tuple[Partition, Start]]:
    """Yield where the reading of each partition begins.

    Args:
        topics: What is read.
        ranges: What the partitions hold.
        stored: The next offsets as the database has them.
        since: The first offsets that are young enough for a new database; None: there is no such record.
    """
    for place, held in ranges.items():
        before = stored.get(place)
        if before is None and topics[place[0]] not in WHOLE:
            young = since.get(place)
            yield place, Start(None, held.end if young is None else young, 0)
            continue
        found = start_offset(committed=before, low=held.start, high=held.end, offset_reset="earliest")
        yield place, Start(before, found.offset, found.n_lost)
