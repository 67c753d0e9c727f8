"""Read offsets of a topic once, without a group: each partition from a start to an end that is known before."""

from collections.abc import Generator, Iterable, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from worker.errors import Fatal
from worker.kafka.client import KafkaConsumer, open_range_reader
from worker.kafka.errors import describe
from worker.kafka.forwarded_headers import headers_of
from worker.kafka.partition_range import PartitionRange
from worker.kafka.retry import Passing

_STEP_S: Final = 0.2
_STEP_RECORDS: Final = 1_000


class ScannedRecord:
    """A record of a topic as it lies there.

    Args:
        message: As the client gives it.
    """

    __slots__ = ("_message", "key", "offset", "partition", "timestamp_ms", "topic", "value")

    def __init__(self, message: Message) -> None:
        self._message = message
        self.topic = str(message.topic())
        self.partition = message.partition() or 0
        self.offset = message.offset() or 0
        self.timestamp_ms: int = message.timestamp()[1]
        self.key: bytes | None = message.key()
        self.value: bytes | None = message.value()

    @property
    def place(self) -> tuple[str, int, int]:
        """Topic, partition and offset."""
        return self.topic, self.partition, self.offset

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """The headers; none where they are not UTF-8. Read when they are asked for: a record may hold 100,000."""
        return headers_of(self._message) or ()


def scan(
    config: dict[str, Any],
    ranges: Iterable[PartitionRange],
    *,
    timeout_s: float,
    step_records: int = _STEP_RECORDS,
) -> Generator[list[ScannedRecord], None, None]:
    """Yield the committed records of the ranges in steps, per partition in order; a step may be empty.

    Args:
        config: Properties of a consumer (`worker.kafka.config.consumer_config`).
        ranges: What to read.
        timeout_s: Longest silence of the brokers.
        step_records: Most records of one step.

    Raises:
        Fatal: the brokers stay silent, or refuse.
    """
    open_ = {one.place: one for one in ranges if one.n_offsets > 0}
    client = open_range_reader(config)
    try:
        client.assign([TopicPartition(one.topic, one.partition, one.start) for one in open_.values()])
        silent_s = 0.0
        unknown = Passing()
        while open_:
            messages = client.consume(step_records, timeout=_STEP_S)
            silent_s = 0.0 if messages else silent_s + _STEP_S
            if silent_s > timeout_s:
                raise Fatal(
                    f"{', '.join(sorted({topic for topic, _ in open_}))}: silent for {timeout_s:.0f} s with "
                    f"{len(open_)} partitions unread; expected their records; check the brokers and run again"
                )
            yield [ScannedRecord(message) for message in messages if _is_inside(message, open_, unknown)]
    finally:
        client.close()


def _is_inside(message: Message, open_: dict[tuple[str, int], PartitionRange], unknown: Passing) -> bool:
    """Say whether a message is a record of an open range; closes the range where it ends with it."""
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        if error.retriable() or error.code() == KafkaError._ALL_BROKERS_DOWN or unknown.may_pass(error):
            return False
        where = f"{message.topic()}[{message.partition()}]@{message.offset()}"
        raise Fatal(f"reading {where}: {describe(error)}; check the topic and the rights on it")
    place, offset = (str(message.topic()), message.partition() or 0), message.offset() or 0
    span = open_.get(place)
    if span is None:
        return False
    # The end comes as an "error" with the offset behind it: behind the last record there may be transaction markers
    # only. Before the end of the range it means that a transaction is open there.
    next_offset = offset + 1 if error is None else offset
    if next_offset >= span.end:
        del open_[place]
    return error is None and offset < span.end


def limits(client: KafkaConsumer, topic: str, *, timeout_s: float) -> list[PartitionRange]:
    """Return the offsets that each partition of a topic holds now.

    Raises:
        KafkaException: the brokers do not answer, or there is no such topic.
    """
    found = client.list_topics(topic, timeout=timeout_s).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)
    ranges = []
    for partition in sorted(found.partitions):
        low, high = client.get_watermark_offsets(TopicPartition(topic, partition), timeout=timeout_s)
        ranges.append(PartitionRange(topic=topic, partition=partition, start=low, end=high))
    return ranges
