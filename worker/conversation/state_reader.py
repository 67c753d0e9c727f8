"""Read the states of partitions back from the state topic, as they were committed when the reading began.

Up to the high watermark, not only to the last stable offset: the transaction in which the partition's last owner
committed its offsets may have its marker in the state topic a moment later. One that nobody ends is aborted by the
broker, after the dead worker's `transaction_timeout_s`.
"""

from collections.abc import Collection
from functools import partial
from typing import Any, Final

import structlog
from pydantic import ValidationError

from schemas.conversation_state import decode_state
from worker.conversation.held_chats import Kept
from worker.kafka.client import KafkaAdmin
from worker.kafka.config import consumer_config
from worker.kafka.high_watermark import high_watermarks
from worker.kafka.partition_range import Partition, PartitionRange
from worker.kafka.retry import Waiting, patiently
from worker.kafka.topic_scan import scan
from worker.process.metrics import Metrics
from worker.settings.kafka import KafkaSettings

log = structlog.get_logger()

_STEP_RECORDS: Final = 2_000
_FETCH_BYTES: Final = 4_000_000
_REMEDY: Final = "check the brokers and that the state topic has as many partitions as the input topic"


def take(chats: dict[str, Kept], key: bytes | None, value: bytes | None, *, input_end: int) -> bool:
    """Take one record of the state topic, newer than all before it; say whether it could be read.

    Args:
        chats: States by chat, to be changed.
        key: The chat_id as UTF-8.
        value: Its state; None where it is to be forgotten.
        input_end: Offset behind the last record of the input partition. A state of records that it does not hold yet is
            of an input topic that was made again, and is left out.
    """
    chat_id = (key or b"").decode("utf-8", "replace")
    chats.pop(chat_id, None)
    if value is None:
        return True
    try:
        state = decode_state(value)
    except ValidationError:
        return False
    if state.last.offset < input_end:
        chats[chat_id] = Kept(state.until_ms, value)
    return True


class StateReader:
    """Reads states.

    Args:
        admin: Admin client.
        settings: Kafka settings.
        topic: The state topic.
        metrics: Where unreadable states are counted.
        waiting: Told again and again while it lasts: reading is no stall.
    """

    def __init__(
        self, admin: KafkaAdmin, settings: KafkaSettings, topic: str, *, metrics: Metrics, waiting: Waiting
    ) -> None:
        self._admin = admin
        self._settings = settings
        self._topic = topic
        self._metrics = metrics
        self._waiting = waiting

    def __call__(self, partitions: Collection[Partition]) -> dict[Partition, dict[str, Kept]]:
        """Return the states of these partitions of the input topic, by chat.

        Raises:
            Fatal: the brokers refuse, or stay silent for `unreachable_exit_s`.
        """
        inputs = {number: (topic, number) for topic, number in partitions}
        states = {number: (self._topic, number) for number in inputs}
        ends = patiently(
            f"asking where {self._topic} ends",
            partial(high_watermarks, self._admin, [*inputs.values(), *states.values()]),
            self._settings,
            remedy=_REMEDY,
            waiting=self._waiting,
        )
        found: dict[Partition, dict[str, Kept]] = {place: {} for place in partitions}
        ranges = [
            PartitionRange(topic=topic, partition=number, start=0, end=ends[topic, number])
            for topic, number in states.values()
            if ends[topic, number] > 0
        ]
        if not ranges:
            return found
        n_read = n_unreadable = 0
        doing = f"reading {len(ranges)} partitions of {self._topic}"
        for records in scan(
            self._consumer_config(), ranges, timeout_s=self._settings.unreachable_exit_s, step_records=_STEP_RECORDS
        ):
            self._waiting(f"{doing}: {n_read} records")
            n_read += len(records)
            for record in records:
                place = inputs[record.partition]
                n_unreadable += not take(found[place], record.key, record.value, input_end=ends[place])
        if n_unreadable:
            self._metrics.state_unreadable.inc(n_unreadable)
            log.warning(
                "states_unreadable",
                topic=self._topic,
                n_records=n_unreadable,
                expected="conversation states of a version that this release knows; their chats are not held",
                remedy="see who writes to the topic besides the workers; after a rollback, wait until holds are over",
            )
        return found

    def _consumer_config(self) -> dict[str, Any]:
        # Assigned by hand, it joins no group; under the worker's static name it could be taken for the worker.
        config = {name: value for name, value in consumer_config(self._settings).items() if name != "group.instance.id"}
        # Small records of this project's own: the limits of the input topic would only make it slow.
        return config | {
            "queued.max.messages.kbytes": 2 * _FETCH_BYTES // 1_000,
            "fetch.max.bytes": _FETCH_BYTES,
            "max.partition.fetch.bytes": _FETCH_BYTES,
        }
