"""Send beside the live transaction: by a producer of its own, without a transaction, best effort.

It is not idempotent, because an idempotent producer can fail for good; a retry may repeat a message, and whoever reads
them must be able to tell.
"""

from collections.abc import Callable
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from worker.kafka.errors import describe, kafka_error

Done = Callable[[str | None], None]
"""Told of each message: None where it was acknowledged, else why it was not."""

_FLUSH_S: Final = 2.0


class BestEffortProducer:
    """Sends without waiting. Used by one thread.

    Args:
        producer: From `worker.kafka.client.open_best_effort_producer`.
    """

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def send(self, topic: str, *, key: bytes, value: bytes, done: Done) -> None:
        """Hand a message to the client; `done` is called now where it takes none, else in a later `poll`."""

        def on_delivery(error: KafkaError | None, _: Message) -> None:
            done(None if error is None else describe(error))

        try:
            self._producer.produce(topic, value=value, key=key, on_delivery=on_delivery)
        except BufferError:
            done("the producer's queue is full")
        except KafkaException as error:
            done(describe(kafka_error(error)))

    def poll(self) -> None:
        """Take acknowledgements."""
        self._producer.poll(0)

    def close(self) -> None:
        """Send what is left within a short while and drop the rest."""
        if self._producer.flush(_FLUSH_S):
            self._producer.purge()
            self._producer.flush(0)
