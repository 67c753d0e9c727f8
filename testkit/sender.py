"""Send records as upstream does: idempotent, partitioned as Java would, each as soon as it is handed over."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, Message, Producer

from testkit.errors import HarnessError
from testkit.records import InputRecord, Place, place_of

_FLUSH_S: Final = 60.0
_BACKPRESSURE_S: Final = 0.01


class Sender:
    """A producer that keeps count of what the broker refuses.

    Args:
        bootstrap_servers: Kafka's addresses.
        topic: Where records go.
        properties: Further client properties, such as TLS and SASL; they win over the harness' own.
    """

    def __init__(self, bootstrap_servers: str, topic: str, properties: Mapping[str, Any] | None = None) -> None:
        self._topic = topic
        self._refused: list[KafkaError] = []
        self._producer = Producer(producer_config(bootstrap_servers) | dict(properties or {}))

    def send(
        self, record: InputRecord, *, partition: int = -1, on_place: Callable[[Place], None] | None = None
    ) -> None:
        """Hand one record to the client; waits while its queue is full.

        Args:
            record: What is sent.
            partition: Where to; -1 lets the key decide.
            on_place: Told where the broker has put it, from within a later call of this object.
        """
        on_delivery = self._on_delivery if on_place is None else partial(self._on_delivery, on_place=on_place)
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    record.value,
                    record.key,
                    partition,
                    on_delivery=on_delivery,
                    headers=[*record.headers] or None,
                )
                break
            except BufferError:
                self._producer.poll(_BACKPRESSURE_S)
        self._producer.poll(0)

    def serve(self) -> None:
        """Take in what was acknowledged in the meantime; does not wait.

        Raises:
            HarnessError: the broker refused a record.
        """
        self._producer.poll(0)
        self._check(n_left=0)

    def flush(self, timeout_s: float = _FLUSH_S) -> None:
        """Wait until the brokers have everything.

        Raises:
            HarnessError: they refused or did not acknowledge a record.
        """
        self._check(n_left=self._producer.flush(timeout_s))

    def close(self) -> None:
        """Drop what is still queued and let the client go, before brokers that are stopped after it."""
        self._producer.purge()
        del self._producer

    def _check(self, *, n_left: int) -> None:
        if n_left or self._refused:
            cause = self._refused[0].str() if self._refused else "no acknowledgement in time"
            raise HarnessError(
                f"{n_left + len(self._refused)} records did not reach {self._topic}: {cause}; expected the brokers to "
                "take every one; check them"
            )

    def _on_delivery(
        self, error: KafkaError | None, message: Message, on_place: Callable[[Place], None] | None = None
    ) -> None:
        if error is not None:
            self._refused.append(error)
        elif on_place is not None:
            on_place(place_of(message))


def producer_config(bootstrap_servers: str) -> dict[str, Any]:
    """Return the properties of every producer here: no lingering, so that a record leaves when it is due."""
    return {
        "bootstrap.servers": bootstrap_servers,
        # Java's default partitioner, so that a chat lands where a Java upstream would put it.
        "partitioner": "murmur2_random",
        "enable.idempotence": True,
        "linger.ms": 0,
        "socket.nagle.disable": True,
        "queue.buffering.max.messages": 200_000,
    }
