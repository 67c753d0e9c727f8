"""Write a few records at once, without a transaction, and learn where each came to lie."""

from collections.abc import Sequence
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message

from schemas import Source
from worker.errors import Fatal
from worker.kafka.client import open_producer
from worker.kafka.config import FALLBACK_MAX_MESSAGE_BYTES
from worker.kafka.errors import fatal
from worker.kafka.written_together import KeyedRecord
from worker.settings.kafka import KafkaSettings


def write_records(settings: KafkaSettings, records: Sequence[KeyedRecord]) -> list[Source]:
    """Write records and return where each lies, in the same order.

    An error may leave some of them written: writing again does no harm to readers that take the last record of a key.

    Raises:
        Fatal: the brokers refuse one, or do not acknowledge all in time.
    """
    if not records:
        return []
    producer = open_producer(
        settings,
        transactional_id=None,
        max_message_bytes=FALLBACK_MAX_MESSAGE_BYTES,
        min_message_bytes=FALLBACK_MAX_MESSAGE_BYTES,
    )
    places: dict[int, Source] = {}
    refused: list[tuple[KafkaError, str]] = []

    def told(error: KafkaError | None, message: Message, at: int, record: KeyedRecord) -> None:
        if error is not None:
            refused.append((error, record.topic))
            return
        places[at] = Source(
            topic=record.topic,
            partition=message.partition() or 0,
            offset=message.offset() or 0,
            timestamp_ms=message.timestamp()[1],
        )

    for at, record in enumerate(records):
        while True:
            try:
                producer.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    partition=-1 if record.partition is None else record.partition,
                    on_delivery=partial(told, at=at, record=record),
                )
                break
            except BufferError:
                producer.poll(0.1)
            except KafkaException as error:
                raise fatal(error.args[0], f"writing to {record.topic}") from error
    n_left = producer.flush(settings.request_timeout_s)
    if refused:
        raise fatal(refused[0][0], f"writing to {refused[0][1]}")
    if n_left:
        raise Fatal(
            f"{n_left} of {len(records)} records were not acknowledged within {settings.request_timeout_s:g} s; "
            "expected all; check the brokers and run again"
        )
    return [places[at] for at in range(len(records))]
