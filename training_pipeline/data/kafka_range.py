"""Read raw records of a Kafka topic between two times, without joining a group and without committing anything.

The range is fixed before the first record is read: per partition from the first offset at or after the start time to
the first offset at or after the end time (or the end of the topic). Records inside it whose own timestamp lies outside
the two times are skipped; a record that was produced late, behind the end offset, is not seen.

Invariant: reading again from a cursor of the same range yields exactly the records after it.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from pydantic import BaseModel, ConfigDict

from training_pipeline.data.errors import DataError

_METADATA_TIMEOUT_S: Final = 20.0
_POLL_TIMEOUT_S: Final = 0.5
"""How long a batch may take to fill."""
_SILENCE_TIMEOUT_S: Final = 60.0
"""With records left to read, a broker that sends nothing for so long is taken to be away."""
_BATCH_RECORDS: Final = 500
_NEAR_OFFSETS: Final = 200
"""Offsets that are rather read over than jumped over."""


class OffsetRange(BaseModel):
    """The offsets of one partition: `start` is read, `end` is not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: int
    end: int
    n_deleted: int = 0
    """Offsets before `start` that retention has deleted, where the range begins at what is left: the records there may
    have belonged to it, and nobody can tell any more."""


class KafkaRequest(BaseModel):
    """Which records are asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: str
    since_ms: int
    until_ms: int | None
    """None: up to the end of the topic when the range is fixed."""


class KafkaRecord(NamedTuple):
    """One record of the topic."""

    partition: int
    offset: int
    timestamp_ms: int
    raw: bytes | None


def to_ms(moment: datetime) -> int:
    """Return milliseconds since 1970; a time without a zone is local time."""
    return int(moment.timestamp() * 1000)


def read_client_config(path: Path) -> dict[str, Any]:
    """Read librdkafka properties (`name=value` lines, `#` comments), where keys and passwords belong.

    Raises:
        DataError: the file cannot be read or a line is no property.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); expected name=value lines") from error
    config = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, separator, value = text.partition("=")
        if not separator:
            raise DataError(
                f"{path}:{number}: not a property; expected name=value, as librdkafka's documentation lists"
            )
        config[name.strip()] = value.strip()
    return config


class KafkaRangeReader:
    """Reads one range of one topic; a context manager.

    Args:
        client_config: librdkafka properties, `bootstrap.servers` among them.
    """

    def __init__(self, client_config: Mapping[str, Any]) -> None:
        self._consumer = Consumer(
            {
                **client_config,
                "group.id": "verdictstream-extract",  # required by the client; never joined, never committed to
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def fix_range(self, request: KafkaRequest) -> dict[int, OffsetRange]:
        """Return the offsets of each partition.

        Raises:
            DataError: the broker cannot be reached, or there is no such topic.
        """
        try:
            partitions = self._partitions(request.topic)
            starts = self._offsets_at(request.topic, partitions, request.since_ms)
            ends = {}
            if request.until_ms is not None:
                ends = self._offsets_at(request.topic, partitions, request.until_ms)
            ranges = {}
            for partition in partitions:
                place = TopicPartition(request.topic, partition)
                low, high = self._consumer.get_watermark_offsets(place, timeout=_METADATA_TIMEOUT_S)
                start, end = (high if o < 0 else o for o in (starts[partition], ends.get(partition, high)))
                # A record before the first of the range shows that nothing of the range is gone.
                n_deleted = low if start <= low else 0
                ranges[partition] = OffsetRange(start=start, end=end, n_deleted=n_deleted)
        except KafkaException as error:
            raise DataError(
                f"topic {request.topic}: {error.args[0]}; expected a broker that answers within "
                f"{_METADATA_TIMEOUT_S:.0f} s; check --bootstrap-servers and --client-config"
            ) from error
        return ranges

    def _partitions(self, topic: str) -> list[int]:
        found = self._consumer.list_topics(topic, timeout=_METADATA_TIMEOUT_S).topics.get(topic)
        if found is None or found.error is not None:
            raise DataError(f"topic {topic}: not on this broker; expected an existing topic; check --topic")
        return sorted(found.partitions)

    def _offsets_at(self, topic: str, partitions: list[int], time_ms: int) -> dict[int, int]:
        asked = [TopicPartition(topic, partition, time_ms) for partition in partitions]
        return {p.partition: p.offset for p in self._consumer.offsets_for_times(asked, timeout=_METADATA_TIMEOUT_S)}

    def read(
        self, request: KafkaRequest, ranges: Mapping[int, OffsetRange], cursor: Mapping[int, int]
    ) -> Iterator[KafkaRecord]:
        """Yield the records of the ranges, per partition in order, from each partition's cursor on.

        Raises:
            DataError: records of the range are gone (retention), or the broker stopped answering.
        """
        open_from = {p: max(r.start, cursor.get(p, r.start)) for p, r in ranges.items()}
        left = {p for p, offset in open_from.items() if offset < ranges[p].end}
        self._consumer.assign([TopicPartition(request.topic, p, open_from[p]) for p in left])
        last_heard_s = time.monotonic()
        while left:
            messages = self._consumer.consume(_BATCH_RECORDS, timeout=_POLL_TIMEOUT_S)
            if messages:
                last_heard_s = time.monotonic()
            elif time.monotonic() - last_heard_s > _SILENCE_TIMEOUT_S:
                raise DataError(
                    f"topic {request.topic}: silent for {_SILENCE_TIMEOUT_S:.0f} s, unread partitions {sorted(left)}; "
                    "check the broker and run the command again: it goes on where it stopped"
                )
            for message in messages:
                partition, offset = _place(message)
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  librdkafka's local codes start with an underscore
                    raise DataError(f"topic {request.topic}: {error.str()}; the range cannot be read to its end")
                if partition not in left:
                    continue
                # The end of the log comes as an "error" with its offset; the last offsets of a range may be markers of
                # transactions, which never come as records.
                if offset >= ranges[partition].end:
                    left.discard(partition)
                elif error is None:
                    yield from _records_inside(request, message, partition, offset)
                    if offset == ranges[partition].end - 1:
                        left.discard(partition)

    def read_at(self, topic: str, wanted: Mapping[int, Collection[int]]) -> Iterator[KafkaRecord]:
        """Yield the records at exact offsets, as far as they are still there.

        Args:
            topic: The topic.
            wanted: Offsets by partition; those of partitions that the topic does not have are passed over.

        Raises:
            DataError: there is no such topic, or the broker stopped answering.
        """
        doing = f"topic {topic}: reading single records"
        try:
            partitions = self._partitions(topic)
            for partition in sorted(set(wanted) & set(partitions)):
                place = TopicPartition(topic, partition)
                low, high = self._consumer.get_watermark_offsets(place, timeout=_METADATA_TIMEOUT_S)
                there = sorted(offset for offset in set(wanted[partition]) if low <= offset < high)
                for run in _runs(there):
                    yield from self._read_run(TopicPartition(topic, partition, run[0]), run)
        except KafkaException as error:
            raise DataError(f"{doing}: {error.args[0]}; expected a broker that answers; check it, run again") from error

    def _read_run(self, start: TopicPartition, run: list[int]) -> Iterator[KafkaRecord]:
        """Yield the wanted records of one stretch of a partition."""
        self._consumer.assign([start])
        left, last_heard_s = set(run), time.monotonic()
        while left:
            messages = self._consumer.consume(run[-1] - run[0] + 1, timeout=_POLL_TIMEOUT_S)
            if messages:
                last_heard_s = time.monotonic()
            elif time.monotonic() - last_heard_s > _SILENCE_TIMEOUT_S:
                raise DataError(
                    f"topic {start.topic}: silent for {_SILENCE_TIMEOUT_S:.0f} s, {len(left)} records unread; check "
                    "the broker and run the command again"
                )
            for message in messages:
                partition, offset = _place(message)
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001
                    raise DataError(f"topic {start.topic}: {error.str()}; its records cannot be read")
                if partition != start.partition:
                    continue
                if error is None and offset in left:
                    _, timestamp_ms = message.timestamp()
                    yield KafkaRecord(partition, offset, timestamp_ms, message.value())
                # What lies before this message and did not come is not there: compacted, or of an aborted transaction.
                left = {one for one in left if one > offset}


def _runs(offsets: list[int]) -> Iterator[list[int]]:
    """Yield ascending offsets in stretches that are read in one go, since a jump costs a request of its own."""
    run: list[int] = []
    for offset in offsets:
        if run and offset - run[-1] > _NEAR_OFFSETS:
            yield run
            run = []
        run.append(offset)
    if run:
        yield run


def _place(message: Message) -> tuple[int, int]:
    partition, offset = message.partition(), message.offset()
    if partition is None or offset is None:  # an error of the client itself, which belongs to no partition
        raise DataError(f"{message.error()}; the range cannot be read to its end; check the broker and run again")
    return partition, offset


def _records_inside(request: KafkaRequest, message: Message, partition: int, offset: int) -> Iterator[KafkaRecord]:
    """Yield the record where its own time lies between the two asked for."""
    _, timestamp_ms = message.timestamp()
    if timestamp_ms >= request.since_ms and (request.until_ms is None or timestamp_ms < request.until_ms):
        yield KafkaRecord(partition, offset, timestamp_ms, message.value())
