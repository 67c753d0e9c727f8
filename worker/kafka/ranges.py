"""Fix the offsets of a replay: what it asks for against what the partitions hold now.

The end is the last stable offset: what lies behind it belongs to transactions that may still abort. With a start time,
the range begins at the first offset at or after it; records in between whose own clock says otherwise are skipped
later, and a record produced late, behind the end offset, is not seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from confluent_kafka import IsolationLevel, TopicCollection, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from worker.errors import SettingsError
from worker.kafka.client import KafkaAdmin
from worker.kafka.partition_range import Partition, PartitionRange, Span


class Found(NamedTuple):
    """An offset and, where it was looked up by time, the timestamp of its record; both -1 where there is none."""

    offset: int
    timestamp_ms: int


class Limits(NamedTuple):
    """What the brokers say of one partition."""

    earliest: int
    latest: int
    since: Found | None = None
    until: Found | None = None


class Wanted(Protocol):
    """Which offsets are asked for: the part of a `ReplayRequest` that fixes a range."""

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics to read."""

    @property
    def since_ms(self) -> int | None:
        """First record timestamp."""

    @property
    def until_ms(self) -> int | None:
        """Record timestamp to stop before."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """Offsets by partition, in place of times."""

    @property
    def partitions(self) -> tuple[int, ...]:
        """Only these; empty: all."""


@dataclass(frozen=True)
class Since:
    """The records of some topics between two times, as `fix_ranges` asks for them."""

    topics: tuple[str, ...]
    since_ms: int | None
    until_ms: int | None = None
    spans: tuple[Span, ...] = ()
    partitions: tuple[int, ...] = ()


def missing_topics(admin: KafkaAdmin, topics: Iterable[str], *, timeout_s: float) -> list[str]:
    """Return which of these topics are not there, or not shown.

    Raises:
        KafkaException: the brokers do not answer.
    """
    known = admin.list_topics(timeout=timeout_s).topics
    return [topic for topic in topics if topic not in known]


def partitions_of(admin: KafkaAdmin, topics: Iterable[str], *, timeout_s: float) -> set[Partition]:
    """Return the partitions that topics have now.

    Raises:
        KafkaException: the brokers do not answer.
    """
    found = {topic: admin.list_topics(topic, timeout=timeout_s).topics[topic] for topic in topics}
    return {(topic, partition) for topic, one in found.items() for partition in one.partitions}


def topic_ids(admin: KafkaAdmin, topics: Sequence[str], *, timeout_s: float) -> dict[str, str]:
    """Return the id of each topic.

    Raises:
        KafkaException: the brokers do not answer, or a topic is missing.
    """
    asked = admin.describe_topics(TopicCollection(list(topics)), request_timeout=timeout_s)
    return {topic: str(future.result().topic_id) for topic, future in asked.items()}


def fix_ranges(
    admin: KafkaAdmin, request: Wanted, behind: Mapping[Partition, int], *, timeout_s: float
) -> tuple[PartitionRange, ...]:
    """Ask the brokers for the offsets of a request.

    Args:
        admin: Admin client.
        request: What is asked for.
        behind: By partition, where an earlier redrive ended: a later one starts there.
        timeout_s: Longest wait for one answer.

    Raises:
        KafkaException: the brokers do not answer.
        SettingsError: the request names partitions or offsets that are not there.
    """
    places = _places(admin, request, timeout_s)
    answers: dict[str, dict[Partition, Found]] = {}
    specs: dict[str, Any] = {"earliest": OffsetSpec.earliest(), "latest": OffsetSpec.latest()}  # type: ignore[no-untyped-call]
    if request.since_ms is not None:
        specs["since"] = OffsetSpec.for_timestamp(request.since_ms)
    if request.until_ms is not None:
        specs["until"] = OffsetSpec.for_timestamp(request.until_ms)
    for name, spec in specs.items():
        answers[name] = list_offsets(admin, places, spec, timeout_s=timeout_s)
    spans = {(span.topic, span.partition): span for span in request.spans}
    ranges = []
    for place in places:
        limits = Limits(
            answers["earliest"][place].offset,
            answers["latest"][place].offset,
            answers["since"][place] if "since" in answers else None,
            answers["until"][place] if "until" in answers else None,
        )
        span = spans.get(place)
        asked = (span.start, span.end) if span is not None else (behind.get(place), None)
        ranges.append(one_range(place, limits, asked, since_ms=request.since_ms))
    return tuple(ranges)


def _places(admin: KafkaAdmin, request: Wanted, timeout_s: float) -> list[Partition]:
    known = admin.list_topics(timeout=timeout_s).topics
    there = [(topic, partition) for topic in request.topics for partition in sorted(known[topic].partitions)]
    named = {(span.topic, span.partition) for span in request.spans}
    named |= {(topic, partition) for topic in request.topics for partition in request.partitions}
    if missing := sorted(named - set(there)):
        raise SettingsError(
            f"no such partition: {_listed(missing)}; expected partitions of {', '.join(request.topics)}; "
            "check --partition and --offsets"
        )
    return [place for place in there if not named or place in named]


def list_offsets(
    admin: KafkaAdmin, places: Iterable[Partition], spec: Any, *, timeout_s: float
) -> dict[Partition, Found]:
    """Return an offset of each partition, of what is committed.

    Args:
        admin: Admin client.
        places: The partitions.
        spec: Which offset: an OffsetSpec.
        timeout_s: Longest wait for the answer.

    Raises:
        KafkaException: the brokers do not answer.
    """
    asked = admin.list_offsets(
        {TopicPartition(*place): spec for place in places},
        isolation_level=IsolationLevel.READ_COMMITTED,
        request_timeout=timeout_s,
    )
    found = {}
    for place, future in asked.items():
        answer = future.result()
        found[place.topic, place.partition] = Found(answer.offset, answer.timestamp)
    return found


def one_range(
    place: Partition, limits: Limits, asked: tuple[int | None, int | None], *, since_ms: int | None
) -> PartitionRange:
    """Decide the range of one partition. Pure.

    Args:
        place: Topic and partition.
        limits: What the brokers say.
        asked: Start and end by offset; None where they are not given.
        since_ms: Start by time.

    Raises:
        SettingsError: an end is asked for that the partition has not reached.
    """
    start, end = asked
    if end is not None and end > limits.latest:
        raise SettingsError(
            f"{place[0]}[{place[1]}]: an end at offset {end} is asked for; expected at most {limits.latest}, where the "
            "partition ends now"
        )
    n_lost = 0
    if limits.since is not None:
        found = limits.latest if limits.since.offset < 0 else limits.since.offset
        # Everything before it was deleted, and some of that may have been younger than the start time.
        if found == limits.earliest > 0 and limits.since.timestamp_ms != since_ms:
            n_lost = limits.earliest
        start = max(start or 0, found)
    if limits.until is not None and limits.until.offset >= 0:
        end = min(limits.latest if end is None else end, limits.until.offset)
    end = limits.latest if end is None else end
    if start is None:
        start = limits.earliest
    elif start < limits.earliest:
        n_lost = max(0, min(limits.earliest, end) - start)
        start = limits.earliest
    start = min(start, limits.latest)
    return PartitionRange(topic=place[0], partition=place[1], start=start, end=max(start, end), n_lost=n_lost)


def _listed(places: Iterable[Partition]) -> str:
    return ", ".join(f"{topic}[{partition}]" for topic, partition in places)
