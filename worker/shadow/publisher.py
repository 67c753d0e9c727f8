"""Publish shadow verdicts beside the live transaction: a producer of its own, without one, best effort.

It is not idempotent, because an idempotent producer can fail for good; a retry may repeat a shadow verdict, and whoever
reads them knows them by their source record.
"""

from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas import Verdict, encode_verdict
from worker.kafka.config import client_config
from worker.kafka.errors import describe, kafka_error
from worker.process.metrics import Metrics
from worker.settings.kafka import KafkaSettings

log = structlog.get_logger()

_FLUSH_S: Final = 2.0


def shadow_producer_config(settings: KafkaSettings) -> dict[str, Any]:
    """Return the properties of the shadow's producer."""
    return client_config(settings) | {
        "acks": "all",
        "compression.type": settings.compression.value,
        # As the live verdicts: a chat's shadow verdicts lie in the partition with the same number.
        "partitioner": "murmur2_random",
        # Nobody waits for them, so they travel in larger requests.
        "linger.ms": 100,
        "queue.buffering.max.messages": 10_000,
        "queue.buffering.max.kbytes": 16_384,
        "delivery.timeout.ms": 30_000,
    }


class ShadowPublisher:
    """Publishes without waiting. Used by one thread.

    Args:
        producer: A producer without a transactional id.
        topic: The shadow topic.
        metrics: Where acknowledgements and failures are counted.
    """

    def __init__(self, producer: Producer, topic: str, metrics: Metrics) -> None:
        self._producer = producer
        self._topic = topic
        self._metrics = metrics
        self._failure: str | None = None

    def publish(self, verdict: Verdict) -> None:
        """Hand a verdict to the client; what it does not take is counted."""
        try:
            self._producer.produce(
                self._topic,
                value=encode_verdict(verdict),
                key=verdict.chat_id.encode(),
                on_delivery=self._on_delivery,
            )
        except BufferError:
            self._failed("the producer's queue is full")
        except KafkaException as error:
            self._failed(describe(kafka_error(error)))

    def poll(self) -> None:
        """Take acknowledgements."""
        self._producer.poll(0)

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failed(describe(error))
            return
        self._metrics.shadow_verdicts.inc()
        self._failure = None

    def _failed(self, failure: str) -> None:
        self._metrics.shadow_dropped.labels("not_published").inc()
        if failure != self._failure:
            self._failure = failure
            log.error(
                "shadow_not_published",
                topic=self._topic,
                error=failure,
                remedy="create the topic, or grant Write on it; live verdicts are unaffected",
            )

    def close(self) -> None:
        """Send what is left within a short while and drop the rest."""
        if self._producer.flush(_FLUSH_S):
            self._producer.purge()
            self._producer.flush(0)
