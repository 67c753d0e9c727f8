"""Follow partitions of several topics from offsets that the caller keeps: in no group, committed records only."""

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import structlog
from confluent_kafka import OFFSET_END, KafkaError, KafkaException, Message, TopicPartition

from worker.errors import Degraded
from worker.kafka.client import KafkaConsumer, open_position_reader
from worker.kafka.config import consumer_config
from worker.kafka.errors import describe, fatal, is_fatal, kafka_error
from worker.kafka.partition_range import Partition, PartitionRange
from worker.kafka.retry import Passing
from worker.kafka.topic_scan import ScannedRecord, limits
from worker.process.seldom import Seldom
from worker.settings.kafka import KafkaSettings

log = structlog.get_logger()

_STEP_RECORDS: Final = 500
_PROBE_S: Final = 2.0
_SILENT_S: Final = 10.0
"""A broker that hangs, or a network that swallows, is told by nobody."""
_SAME_ERROR_EVERY_S: Final = 60.0


def open_places_follower(settings: KafkaSettings, name: str) -> "PlacesFollower":
    """Return what follows partitions.

    Args:
        settings: Kafka settings.
        name: Goes behind the group id, for the brokers' access lists; no group is joined.
    """
    config: dict[str, Any] = consumer_config(settings) | {"group.id": f"{settings.group_id}.{name}"}
    # Under the worker's static name it could be taken for the worker.
    config.pop("group.instance.id", None)
    absence = Absence()
    config["error_cb"] = absence.on_error
    return PlacesFollower(open_position_reader(config), settings, absence)


class Absence:
    """Whether all brokers are away, as a client tells: once, and not when they are back."""

    def __init__(self) -> None:
        self.is_there = False

    def on_error(self, error: KafkaError) -> None:
        """Take a client's error callback, which is called while it is polled."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.is_there = True


class PlacesFollower:
    """Reads partitions. Used by one thread at a time.

    Args:
        client: A consumer that reports the ends of partitions, and an offset out of range as an error.
        settings: How long the brokers may take to answer.
        absence: What the client tells of its connections; None: nothing.
    """

    def __init__(self, client: KafkaConsumer, settings: KafkaSettings, absence: Absence | None = None) -> None:
        self._client = client
        self._timeout_s = settings.request_timeout_s
        self._absence = absence or Absence()
        self._heard_s = time.monotonic()
        self._next: dict[Partition, int] = {}
        self._unknown = Passing()
        self._seldom = Seldom(_SAME_ERROR_EVERY_S)

    def limits(self, topics: Iterable[str]) -> dict[Partition, PartitionRange]:
        """Return what the partitions of topics hold now.

        Raises:
            Degraded: the brokers do not answer, or a topic is missing.
        """
        ranges: dict[Partition, PartitionRange] = {}
        for topic in topics:
            try:
                ranges |= {one.place: one for one in limits(self._client, topic, timeout_s=self._timeout_s)}
            except KafkaException as error:
                raise Degraded(f"{topic}: {describe(kafka_error(error))}") from error
        return ranges

    def first_since(self, places: Collection[Partition], since_ms: int) -> dict[Partition, int | None]:
        """Return the first offset of each partition whose record is not older than a time; None where there is none.

        Raises:
            Degraded: the brokers do not answer.
        """
        if not places:
            return {}
        asked = [TopicPartition(*place, since_ms) for place in places]
        try:
            found = self._client.offsets_for_times(asked, timeout=self._timeout_s)
        except KafkaException as error:
            raise Degraded(f"offsets by time: {describe(kafka_error(error))}") from error
        for one in found:
            if one.error is not None:
                raise Degraded(f"{one.topic}[{one.partition}]: {describe(one.error)}")
        return {(one.topic, one.partition): None if one.offset == OFFSET_END else one.offset for one in found}

    def begin(self, starts: Mapping[Partition, int]) -> None:
        """Read these partitions, and no others, from these offsets on.

        Raises:
            Degraded: the client takes one of them not.
        """
        self._next = dict(starts)
        try:
            self._client.assign([TopicPartition(*place, offset) for place, offset in starts.items()])
        except KafkaException as error:
            raise Degraded(f"assigning partitions: {describe(kafka_error(error))}") from error

    @property
    def next_offsets(self) -> Mapping[Partition, int]:
        """The offset behind what `poll` has returned of each partition, transaction markers included."""
        return self._next

    @property
    def is_doubtful(self) -> bool:
        """Whether `probe` is to tell if the brokers answer: they were lost, or nothing was heard for a while."""
        return self._absence.is_there or time.monotonic() - self._heard_s > _SILENT_S

    def poll(self, timeout_s: float) -> list[ScannedRecord]:
        """Wait for a first record and return it with what came beside it, per partition in order.

        Raises:
            Degraded: offsets that were to be read are not there any more.
            Fatal: the brokers refuse.
        """
        first = self._client.poll(timeout_s)
        if first is None:
            return []
        records = []
        for message in [first, *self._client.consume(_STEP_RECORDS, timeout=0)]:
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                self._take_error(message, error)
                continue
            self._hear()
            self._unknown.passed()
            place, offset = (str(message.topic()), message.partition() or 0), message.offset() or 0
            # Behind the last record there may be transaction markers only, which the end tells.
            self._next[place] = max(self._next.get(place, 0), offset + (error is None))
            if error is None:
                records.append(ScannedRecord(message))
        return records

    def probe(self) -> bool:
        """Ask the brokers anything; say whether one answers. The client itself is silent when they are back."""
        try:
            self._client.list_topics(next(iter(self._next))[0], timeout=_PROBE_S)
        except KafkaException:
            return False
        self._hear()
        return True

    def lag_records(self) -> int:
        """Return how many offsets are unread, by what the client knows."""
        lag = 0
        for place, position in self._next.items():
            _, high = self._client.get_watermark_offsets(TopicPartition(*place), cached=True)
            lag += max(0, high - position)
        return lag

    def close(self) -> None:
        """Release the connection."""
        self._client.close()

    def _hear(self) -> None:
        self._absence.is_there = False
        self._heard_s = time.monotonic()

    def _take_error(self, message: Message, error: KafkaError) -> None:
        where = f"{message.topic()}[{message.partition()}]"
        self._absence.on_error(error)
        if error.code() in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:
            raise Degraded(f"{where}: offset {message.offset()} is not there any more")
        if is_fatal(error) and not self._unknown.may_pass(error):
            raise fatal(error, f"reading {where}")
        if self._seldom.due((message.topic(), error.code())):
            log.warning("topic_not_followed", topic=message.topic(), error=describe(error))
