"""Read topics from a time on and follow them: every partition, in no group, committed records."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition

from console.pipeline.errors import PipelineAway
from worker.errors import Fatal
from worker.kafka.client import KafkaAdmin, KafkaConsumer, open_range_reader
from worker.kafka.config import consumer_config
from worker.kafka.errors import describe, is_fatal, kafka_error
from worker.kafka.partition_range import Partition
from worker.kafka.probe import open_admin
from worker.kafka.ranges import Since, fix_ranges, missing_topics, partitions_of
from worker.kafka.topic_scan import ScannedRecord
from worker.settings.kafka import KafkaSettings

MOST_BACK: Final = 300_000
"""Records of all partitions of a topic that are read back; at 1,000 a second five minutes."""
_STEP_RECORDS: Final = 500
_CLIENT: Final = "console-live"


class TopicTail:
    """Reads several topics. Used by one thread.

    Args:
        client: A consumer that reports the ends of partitions.
        starts: By partition the offset to begin at, and the one behind what was there at the beginning.
        timeout_s: Longest wait for an answer about partitions.
        is_cut: Whether it begins later than was asked for, see `MOST_BACK`.
    """

    def __init__(
        self,
        client: KafkaConsumer,
        starts: Mapping[Partition, tuple[int, int]],
        *,
        timeout_s: float,
        is_cut: bool = False,
    ) -> None:
        self.is_cut = is_cut
        self._client = client
        self._timeout_s = timeout_s
        self._known = set(starts)
        self._behind = {place: end for place, (start, end) in starts.items() if start < end}
        self.fault: str | None = None
        """What the brokers refused last; None where nothing was since the last record."""
        client.assign([TopicPartition(*place, start) for place, (start, _) in starts.items()])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @property
    def is_back(self) -> bool:
        """Whether what was there at the beginning is not all read yet."""
        return bool(self._behind)

    def poll(self, timeout_s: float) -> list[ScannedRecord]:
        """Return what came within a time; a refusal is noted in `fault`.

        Raises:
            PipelineAway: the client can be used no more.
        """
        try:
            messages = self._client.consume(_STEP_RECORDS, timeout=timeout_s)
        except KafkaException as refused:
            raise PipelineAway(f"reading the topics: {describe(kafka_error(refused))}") from refused
        records = []
        for message in messages:
            error = message.error()
            self._note(message, error)
            if error is None:
                self.fault = None
                records.append(ScannedRecord(message))
        return records

    def _note(self, message: Message, error: KafkaError | None) -> None:
        ended = KafkaError._PARTITION_EOF  # noqa: SLF001  librdkafka's local codes start with an underscore
        if error is not None and error.code() != ended:
            # A broker that is away comes back, and the client finds it; nothing would tell when.
            if is_fatal(error):
                self.fault = describe(error)
            return
        place, offset = (str(message.topic()), message.partition() or 0), message.offset() or 0
        # The end of a partition tells of markers and aborted records, which are never delivered.
        if place in self._behind and offset + (error is None) >= self._behind[place]:
            del self._behind[place]

    def look_for_partitions(self, topics: Iterable[str], admin: KafkaAdmin) -> None:
        """Begin with partitions that were added since; where the brokers do not answer, at the next look."""
        try:
            found = partitions_of(admin, topics, timeout_s=self._timeout_s)
        except (KafkaException, KeyError):
            return
        if new := sorted(found - self._known):
            self._client.incremental_assign([TopicPartition(*place, OFFSET_BEGINNING) for place in new])
            self._known.update(new)


def admin_of(settings: KafkaSettings) -> KafkaAdmin:
    """Return an admin client that a broker has answered; raises PipelineAway."""
    try:
        return open_admin(settings)
    except Fatal as error:
        raise PipelineAway(str(error)) from error


def open_tail(
    settings: KafkaSettings,
    admin: KafkaAdmin,
    needed: Iterable[str],
    optional: Iterable[str],
    *,
    since_ms: int,
    open_reader: Callable[[Mapping[str, Any]], KafkaConsumer] = open_range_reader,
) -> TopicTail:
    """Return what reads topics from a time on.

    Args:
        settings: Kafka settings.
        admin: Admin client.
        needed: Topics that must be there.
        optional: Topics that are read where they are there.
        since_ms: First publication time; of a busy topic a later one, see `MOST_BACK`.
        open_reader: Opens the consumer.

    Raises:
        PipelineAway: the brokers do not answer, refuse, or lack a topic.
    """
    timeout_s = settings.request_timeout_s
    try:
        if missing := missing_topics(admin, needed, timeout_s=timeout_s):
            raise PipelineAway(
                f"Kafka lacks the topics {', '.join(missing)}; expected them; check the topic settings and the rights"
            )
        left_out = missing_topics(admin, optional, timeout_s=timeout_s)
        starts: dict[Partition, tuple[int, int]] = {}
        is_cut = False
        for topic in (*needed, *(one for one in optional if one not in left_out)):
            ranges = fix_ranges(admin, Since((topic,), since_ms), {}, timeout_s=timeout_s)
            most = max(1, MOST_BACK // max(1, len(ranges)))
            starts |= {one.place: (max(one.start, one.end - most), one.end) for one in ranges}
            is_cut |= any(one.n_offsets > most for one in ranges)
    except KafkaException as error:
        raise PipelineAway(f"reading the topics' ends: {describe(kafka_error(error))}") from error
    config: dict[str, Any] = consumer_config(settings) | {"group.id": f"{settings.group_id}.{_CLIENT}"}
    # Under the worker's static name it could be taken for the worker.
    config.pop("group.instance.id", None)
    return TopicTail(open_reader(config), starts, timeout_s=timeout_s, is_cut=is_cut)
