"""Write a few records of several topics in one transaction: all of them or none."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message

from worker.errors import BatchAborted, Fatal
from worker.kafka.client import open_producer
from worker.kafka.errors import FENCED, describe, fatal, is_fatal, kafka_error, refused_for_good
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


class WriteRefused(Fatal):
    """The brokers will never take these records; written again they are refused again."""


class TransactionalWriter:
    """Writes one transaction after the other through one producer; for one thread.

    Whoever opens a later one under the same id fences this one: what it then tries is not written. After an error the
    next call opens a new producer, which first ends what the old one left open.

    Args:
        settings: Kafka settings.
        transactional_id: Of all who may write, one at a time.
    """

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        self._settings = settings
        self._id = transactional_id
        self._producer: Any = None
        """Typed as the library has it in `open_producer`; None: not open."""

    def open(self) -> None:
        """Open the producer where it is not, so that the next write need not wait for it; raises as `write` does."""
        try:
            self._opened()
        except KafkaException as error:
            raise _raised(kafka_error(error), f"opening a producer as {self._id}", in_doubt=False) from error

    def write(self, records: Sequence[KeyedRecord]) -> None:
        """Write records in one transaction, in the order given for each partition.

        Raises:
            WriteRefused: the brokers will never take one of them.
            Fatal: they refuse for a reason that an operator can mend: rights, a missing topic, credentials.
            BatchAborted: they do not answer, or another writer was opened; `in_doubt` where the commit may have
                gone through.
        """
        topics = " and ".join(dict.fromkeys(record.topic for record in records))
        doing, wait_s = f"writing {topics} as {self._id}", self._settings.request_timeout_s
        undelivered: list[KafkaError] = []

        def told(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                undelivered.append(error)

        is_committing = False
        try:
            producer = self._opened()
            producer.begin_transaction()
            for topic, key, value, partition in records:
                place = -1 if partition is None else partition
                producer.produce(topic, key=key, value=value, partition=place, on_delivery=told)
            is_committing = True
            producer.commit_transaction(wait_s)
        except KafkaException as error:
            # A message's own error says more than that the commit failed.
            cause = undelivered[0] if undelivered else kafka_error(error)
            self._drop()
            raise _raised(cause, doing, in_doubt=is_committing and not undelivered) from error

    def _opened(self) -> Any:
        if self._producer is None:
            producer = open_producer(
                self._settings,
                transactional_id=self._id,
                max_message_bytes=_MAX_VALUE_BYTES,
                min_message_bytes=_MAX_VALUE_BYTES,
            )
            producer.init_transactions(self._settings.request_timeout_s)
            self._producer = producer
        return self._producer

    def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaException):
                producer.abort_transaction(self._settings.request_timeout_s)

    def close(self) -> None:
        """Release the producer; nothing is open between two calls."""
        self._producer = None


def _raised(cause: KafkaError, doing: str, *, in_doubt: bool) -> Exception:
    if (refusal := refused_for_good(cause, doing)) is not None:
        return WriteRefused(str(refusal))
    if cause.code() in FENCED:
        return BatchAborted(f"{doing}: {describe(cause)}; another process writes under this id")
    if is_fatal(cause):
        return fatal(cause, doing)
    return BatchAborted(f"{doing}: {describe(cause)}", in_doubt=in_doubt)


def write_together(settings: KafkaSettings, records: Sequence[KeyedRecord], *, transactional_id: str) -> None:
    """Write records in one transaction.

    Args:
        settings: Kafka settings.
        records: What is written.
        transactional_id: Unique to this call.

    Raises:
        Fatal: the brokers refuse, or do not answer; whether anything was written is unknown in the second case only.
    """
    writer = TransactionalWriter(settings, transactional_id)
    try:
        writer.write(records)
    except BatchAborted as error:
        raise Fatal(
            f"{error}; expected an answer within {settings.request_timeout_s:g} s; look whether it was written "
            "(`worker override list`) before you try again"
        ) from error
    finally:
        writer.close()
