"""Fetch single records of a topic by their places."""

import time
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from worker.errors import Degraded
from worker.kafka.client import KafkaConsumer, open_range_reader
from worker.kafka.config import consumer_config
from worker.kafka.errors import describe, kafka_error
from worker.kafka.topic_scan import ScannedRecord
from worker.record import Place
from worker.settings.kafka import KafkaSettings

_POLL_S: Final = 0.2
_PREFETCH_KB: Final = 1_000
"""Of one fetch one record is wanted."""


def open_fetcher(settings: KafkaSettings, name: str) -> "RecordFetcher":
    """Return what fetches records.

    Args:
        settings: Kafka settings.
        name: Goes behind the group id, for the brokers' access lists; no group is joined.
    """
    config: dict[str, Any] = consumer_config(settings) | {
        "group.id": f"{settings.group_id}.{name}",
        "queued.max.messages.kbytes": _PREFETCH_KB,
    }
    config.pop("group.instance.id", None)
    return RecordFetcher(open_range_reader(config), timeout_s=settings.request_timeout_s)


class RecordFetcher:
    """Fetches one record after the other. Used by one thread.

    Args:
        client: A consumer that reports the ends of partitions.
        timeout_s: Longest wait for one record.
    """

    def __init__(self, client: KafkaConsumer, *, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    def fetch(self, place: Place) -> ScannedRecord | None:
        """Return the record at a place; None where retention took it, or where there never was one.

        Raises:
            Degraded: the brokers do not answer now, or refuse.
        """
        topic, partition, offset = place
        try:
            low, high = self._client.get_watermark_offsets(TopicPartition(topic, partition), timeout=self._timeout_s)
            if not low <= offset < high:
                return None
            self._client.assign([TopicPartition(topic, partition, offset)])
            return self._read(place)
        except KafkaException as error:
            raise Degraded(f"fetching {topic}[{partition}]@{offset}: {describe(kafka_error(error))}") from error
        finally:
            self._client.assign([])

    def _read(self, place: Place) -> ScannedRecord | None:
        deadline = time.monotonic() + self._timeout_s
        while time.monotonic() < deadline:
            message = self._client.poll(_POLL_S)
            if message is None:
                continue
            error, offset = message.error(), message.offset() or 0
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                if error.retriable():
                    continue
                raise KafkaException(error)
            # An offset behind it, or the end: what stood here was aborted, or a marker.
            if error is not None or offset > place[2]:
                return None
            if offset == place[2]:
                return ScannedRecord(message)
        raise Degraded(f"fetching {place[0]}[{place[1]}]@{place[2]}: no answer within {self._timeout_s:g} s")

    def close(self) -> None:
        """Release the connection."""
        self._client.close()
