"""Publish records as upstream would, and enter each one's place in the ledger."""

from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from deploy.demo.errors import DemoError
from deploy.demo.events import Phase, Publication
from deploy.demo.ledger import Ledger, Place
from deploy.local.kafka_config import MESSAGE_MAX_BYTES

_FULL_QUEUE_WAIT_S: Final = 1.0


class EventPublisher:
    """Publishes to the input topic.

    Args:
        bootstrap_servers: Kafka's address.
        topic: The input topic.
        ledger: Where hand-overs and places are noted.
    """

    def __init__(self, bootstrap_servers: str, *, topic: str, ledger: Ledger) -> None:
        self._topic = topic
        self._ledger = ledger
        self._refused: KafkaError | None = None
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "acks": "all",
                "enable.idempotence": True,
                # Java's default partitioner, so that a chat lands where a Java upstream would put it.
                "partitioner": "murmur2_random",
                "compression.type": "lz4",
                "linger.ms": 5,
                "message.max.bytes": MESSAGE_MAX_BYTES,
                # What matters of it is raised here; the rest would be drawn across the live table.
                "log_level": 2,
            }
        )

    def publish(self, publication: Publication, phase: Phase) -> None:
        """Hand one record over; where the client's queue is full, wait until there is room.

        Raises:
            DemoError: The broker refused an earlier record.
        """

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._refused = error
                return
            place = Place(self._topic, int(message.partition() or 0), int(message.offset() or 0))
            self._ledger.acknowledge(place, publication, phase)

        self._ledger.hand_over()
        while True:
            try:
                self._producer.produce(
                    self._topic, key=publication.key, value=publication.value, on_delivery=on_delivery
                )
            except BufferError:
                self._producer.poll(_FULL_QUEUE_WAIT_S)
            else:
                return

    def serve(self) -> None:
        """Note the places of records that were acknowledged in the meantime; does not wait.

        Raises:
            DemoError: The broker refused a record.
        """
        self._producer.poll(0)
        if self._refused is not None:
            raise DemoError(f"the broker refused an event: {self._refused.str()}; expected it to take every record")

    def close(self) -> None:
        """Drop what is still queued, so that an interrupted run ends at once."""
        self._producer.purge()
