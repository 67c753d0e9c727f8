"""The control topic: what each replay id stands for, written once, whichever process comes first.

Compare-and-set with Kafka's own means: whoever wants to write initialises one transactional id shared by all, which
ends what its predecessors left open and fences them; reads the topic to its end; and only then writes. A writer that
was overtaken is fenced at its commit and looks again. The plan and the group's start offsets are one transaction, so a
partition without a committed offset can only mean that the group has forgotten it.
"""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]
from pydantic import ValidationError

from worker.errors import Fatal
from worker.kafka.config import consumer_config, producer_config
from worker.kafka.errors import FENCED, describe, fatal, is_fatal, kafka_error
from worker.kafka.retry import UnknownTopic
from worker.kafka.topic_scan import limits, scan
from worker.process.logs import librdkafka_logger
from worker.replay.plan.replay_plan import StoredReplay
from worker.replay.report.tally import Tally
from worker.settings.kafka import KafkaSettings

log = structlog.get_logger()

Draft = Callable[[Mapping[str, StoredReplay]], StoredReplay]
"""Makes what is to be written out of all that was written before."""

_MAX_PLAN_BYTES: Final = 900_000


class PlanStore:
    """Reads and writes the control topic.

    Args:
        settings: Kafka settings of the replay: its group is the one whose start offsets are committed.
        transactional_id: Shared by all who write plans.
    """

    def __init__(self, settings: KafkaSettings, *, transactional_id: str) -> None:
        self._settings = settings
        self._transactional_id = transactional_id
        self._topic = settings.replay_topic
        self._client = Consumer(consumer_config(settings), logger=librdkafka_logger())

    def read(self) -> dict[str, StoredReplay]:
        """Return everything that is stored, by replay id.

        Raises:
            Fatal: the brokers do not answer, or a record is not a plan of this version.
        """
        timeout_s = self._settings.request_timeout_s
        try:
            ranges = limits(self._client, self._topic, timeout_s=timeout_s)
        except KafkaException as error:
            raise fatal(kafka_error(error), f"reading {self._topic}") from error
        stored: dict[str, StoredReplay] = {}
        for messages in scan(consumer_config(self._settings), ranges, timeout_s=timeout_s):
            for message in messages:
                replay_id = (message.key() or b"").decode("utf-8", "replace")
                if message.value() is None:
                    stored.pop(replay_id, None)
                    continue
                try:
                    stored[replay_id] = StoredReplay.model_validate_json(message.value() or b"")
                except ValidationError as error:
                    raise Fatal(
                        f"{self._topic}[{message.partition()}]@{message.offset()}: not the plan of a replay of this "
                        f"version ({error.error_count()} problems); expected what `worker replay` writes; delete it "
                        f"with a tombstone for key {replay_id!r}"
                    ) from error
        return stored

    def settle(self, replay_id: str, draft: Draft, *, is_settled: Callable[[StoredReplay], bool]) -> StoredReplay:
        """Return what is stored under an id; write it first where it is not there yet.

        Args:
            replay_id: The id.
            draft: Makes what to write; called again after every lost race.
            is_settled: Says whether what is found needs no writing.

        Raises:
            Fatal: the brokers do not answer in time, or refuse.
        """
        deadline = time.monotonic() + self._settings.unreachable_exit_s
        unknown = UnknownTopic()
        while True:
            found = self.read().get(replay_id)
            if found is not None and is_settled(found):
                return found
            try:
                written = self._try_to_write(replay_id, draft, is_settled)
            except KafkaException as error:
                cause = kafka_error(error)
                if is_fatal(cause) and cause.code() not in FENCED and not unknown.may_pass(cause):
                    group = self._settings.group_id
                    raise fatal(cause, f"writing {self._topic} as {self._transactional_id}, group {group}") from error
                if time.monotonic() > deadline:
                    raise Fatal(f"writing {self._topic}: no success in time: {describe(cause)}") from error
                log.info("plan_race_lost", error=describe(cause))
                # Long enough for the one who won to commit, and not the same for all who lost.
                time.sleep(random.uniform(0.2, 1.5))  # noqa: S311  spreads retries, no secret
            else:
                return written

    def _try_to_write(self, replay_id: str, draft: Draft, is_settled: Callable[[StoredReplay], bool]) -> StoredReplay:
        config = producer_config(
            self._settings, transactional_id=self._transactional_id, max_message_bytes=_MAX_PLAN_BYTES
        )
        producer, wait_s = Producer(config, logger=librdkafka_logger()), self._settings.request_timeout_s
        producer.init_transactions(wait_s)
        stored = self.read()
        if replay_id in stored and is_settled(stored[replay_id]):
            return stored[replay_id]
        drafted = draft(stored)
        producer.begin_transaction()
        producer.produce(self._topic, key=replay_id.encode(), value=drafted.model_dump_json().encode())
        if replay_id not in stored:
            producer.send_offsets_to_transaction(_starts(drafted), self._client.consumer_group_metadata(), wait_s)
        producer.commit_transaction(wait_s)
        return drafted

    def close(self) -> None:
        """Release the connection."""
        self._client.close()


def _starts(stored: StoredReplay) -> list[TopicPartition]:
    note = Tally().to_note()
    return [TopicPartition(one.topic, one.partition, one.start, note) for one in stored.plan.ranges]


def check_control_topic(admin: AdminClient, topic: str, *, timeout_s: float) -> None:
    """Check that the control topic keeps the last record of each key for good.

    Raises:
        Fatal: it deletes records by age, so that a finished redrive would be forgotten and done again.
    """
    resource = ConfigResource(ResourceType.TOPIC, topic)
    (future,) = admin.describe_configs([resource], request_timeout=timeout_s).values()
    try:
        policy: Any = future.result()["cleanup.policy"].value
    except KafkaException as error:
        log.warning("control_topic_unchecked", topic=topic, error=describe(kafka_error(error)))
        return
    if policy != "compact":
        raise Fatal(
            f"{topic}: cleanup.policy is {policy}; expected compact, or finished replays are forgotten; create it with "
            "--config cleanup.policy=compact"
        )
