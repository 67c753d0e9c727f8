"""Publish by which thresholds the policies in use decide, so that readers of verdicts need no files of ours.

Best effort, beside the verdicts: nothing waits for it, and what Kafka has not acknowledged is sent again. Every worker
of a group writes the same rows; the topic is compacted. A row whose policy is gone stays: another worker may still use
it, and verdicts under it may still be read.

Invariant: what was acknowledged and is the same is not sent again by this process.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

import structlog

from model.policies.table import policy_rows
from schemas.policy_table import encode_policy_row
from worker.kafka.best_effort import BestEffortProducer
from worker.kafka.client import KafkaAdmin, open_best_effort_producer
from worker.kafka.control_topic import check_is_compacted
from worker.kafka.topic_check import WRITE, Uses
from worker.predictor import Predictor
from worker.process.metrics import Metrics
from worker.process.periodic import Periodic
from worker.settings.kafka import KafkaSettings

log = structlog.get_logger()

EVERY_S: Final = 0.5
"""How soon a change is noticed, and an acknowledgement."""
AGAIN_S: Final = 40.0
"""Longer than the producer tries by itself: what is sent again is not on its way any more."""


class PolicyTable:
    """The rows of the policies in use, and which of them Kafka has. Used by one thread.

    Args:
        producer: Sends beside the live transaction.
        topic: The topic of the table.
        newest: Gives the predictor that is in use, or will be with the next batch.
        metrics: Where rows without acknowledgement are counted.
    """

    def __init__(
        self, producer: BestEffortProducer, topic: str, newest: Callable[[], Predictor], metrics: Metrics
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._newest = newest
        self._metrics = metrics
        self._shown: tuple[str, str] | None = None
        """Digests of the bundle and the policies whose rows were made last."""
        self._unsent: dict[bytes, bytes] = {}
        self._acknowledged: dict[bytes, bytes] = {}
        self._send_at = 0.0
        self._failure: str | None = None

    def look(self) -> None:
        """Send what is new or was not acknowledged in time; never raises and never waits."""
        self._make_rows()
        now = time.monotonic()
        if self._unsent and now >= self._send_at:
            self._send_at = now + AGAIN_S
            for key, value in list(self._unsent.items()):
                self._send(key, value)
        self._producer.poll()
        self._metrics.policies_unpublished.set(len(self._unsent))

    def _make_rows(self) -> None:
        builder = self._newest().builder
        policies = builder.policies
        if policies is None or self._shown == (builder.model.digest, policies.digest):
            return
        self._shown = builder.model.digest, policies.digest
        rows = {row.key: encode_policy_row(row) for row in policy_rows(policies, builder.model, builder.categories)}
        self._unsent = {key: value for key, value in rows.items() if self._acknowledged.get(key) != value}
        self._send_at = 0.0

    def _send(self, key: bytes, value: bytes) -> None:
        def done(failure: str | None) -> None:
            if failure is None:
                self._acknowledged[key] = value
                if self._unsent.get(key) == value:
                    del self._unsent[key]
                self._failure = None
            elif failure != self._failure:
                self._failure = failure
                log.error(
                    "policy_table_not_published",
                    topic=self._topic,
                    error=failure,
                    remedy="create the topic, or grant Write on it; verdicts are unaffected, and it is tried again",
                )

        self._producer.send(self._topic, key=key, value=value, done=done)


def policies_topics(settings: KafkaSettings) -> Uses:
    """Return what is done with the topic of the table, where the settings name one."""
    return {} if settings.policies_topic is None else {settings.policies_topic: WRITE}


def publish_policies(
    settings: KafkaSettings, admin: KafkaAdmin, newest: Callable[[], Predictor], metrics: Metrics, stack: ExitStack
) -> None:
    """Publish the policies in use from now on, where the settings name a topic, until the stack unwinds.

    Raises:
        Fatal: the topic deletes records by age, so that readers would lose the table.
    """
    topic = settings.policies_topic
    if topic is None:
        return
    check_is_compacted(
        admin,
        topic,
        timeout_s=settings.request_timeout_s,
        lost="readers lose the thresholds of policies that do not change",
    )
    producer = BestEffortProducer(open_best_effort_producer(settings))
    stack.callback(producer.close)
    table = PolicyTable(producer, topic, newest, metrics)
    stack.callback(Periodic("policy-table", EVERY_S, [table.look]).close)
