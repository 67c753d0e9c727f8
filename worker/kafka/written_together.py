"""Write a few records of several topics in one transaction: all of them or none."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from confluent_kafka import KafkaException

from worker.errors import Fatal
from worker.kafka.client import open_producer
from worker.kafka.errors import describe, fatal, is_fatal, kafka_error, refused_for_good
from worker.settings.kafka import KafkaSettings

_MAX_VALUE_BYTES: Final = 100_000


class KeyedRecord(NamedTuple):
    """What is written."""

    topic: str
    key: bytes
    value: bytes | None
    """None: a tombstone."""
    partition: int | None = None
    """None: murmur2 of the key decides."""


def write_together(settings: KafkaSettings, records: Sequence[KeyedRecord], *, transactional_id: str) -> None:
    """Write records in one transaction.

    Args:
        settings: Kafka settings.
        records: What is written.
        transactional_id: Unique to this call.

    Raises:
        Fatal: the brokers refuse, or do not answer; whether anything was written is unknown in the second case only.
    """
    topics = " and ".join(dict.fromkeys(record.topic for record in records))
    doing, wait_s = f"writing {topics} as {transactional_id}", settings.request_timeout_s
    producer = open_producer(
        settings,
        transactional_id=transactional_id,
        max_message_bytes=_MAX_VALUE_BYTES,
        min_message_bytes=_MAX_VALUE_BYTES,
    )
    try:
        producer.init_transactions(wait_s)
        producer.begin_transaction()
        for topic, key, value, partition in records:
            producer.produce(topic, key=key, value=value, partition=-1 if partition is None else partition)
        producer.commit_transaction(wait_s)
    except KafkaException as error:
        cause = kafka_error(error)
        with suppress(KafkaException):
            producer.abort_transaction(wait_s)
        if (refusal := refused_for_good(cause, doing)) is not None:
            raise refusal from error
        if is_fatal(cause):
            raise fatal(cause, doing) from error
        raise Fatal(
            f"{doing}: {describe(cause)}; expected an answer within {wait_s:g} s; look whether it was written "
            "(`worker override list`) before you try again"
        ) from error
