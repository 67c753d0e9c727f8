"""Publish shadow verdicts and count what becomes of each; a repeated one is known by its source record."""

import structlog

from schemas import Verdict, encode_verdict
from worker.kafka.best_effort import BestEffortProducer
from worker.process.metrics import Metrics

log = structlog.get_logger()


class ShadowPublisher:
    """Publishes without waiting. Used by one thread.

    Args:
        producer: Sends beside the live transaction.
        topic: The shadow topic.
        metrics: Where acknowledgements and failures are counted.
    """

    def __init__(self, producer: BestEffortProducer, topic: str, metrics: Metrics) -> None:
        self._producer = producer
        self._topic = topic
        self._metrics = metrics
        self._failure: str | None = None

    def publish(self, verdict: Verdict) -> None:
        """Hand a verdict to the client; what it does not take is counted."""
        self._producer.send(
            self._topic, key=verdict.chat_id.encode(), value=encode_verdict(verdict), done=self._on_done
        )

    def poll(self) -> None:
        """Take acknowledgements."""
        self._producer.poll()

    def _on_done(self, failure: str | None) -> None:
        if failure is None:
            self._metrics.shadow_verdicts.inc()
            self._failure = None
            return
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
        self._producer.close()
