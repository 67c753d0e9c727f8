"""The broker: topics, groups, and which producer owns a transactional id."""

import threading
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, Producer

from tests.broker_twin.consumer import TwinConsumer
from tests.broker_twin.group import Group
from tests.broker_twin.partition_log import Partition, PartitionLog, State, Transaction
from tests.broker_twin.producer import TwinProducer


class TwinBroker:
    """A broker in memory. Its clients may be used from several threads."""

    bootstrap_servers = "twin:1"

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.topics: dict[str, list[PartitionLog]] = {}
        self._groups: dict[str, Group] = {}
        self._epochs: dict[str, int] = {}
        self._open: dict[str, Transaction] = {}

    def create_topics(self, topics: Mapping[str, int]) -> None:
        """Create topics: name to number of partitions."""
        with self.lock:
            for name, n_partitions in topics.items():
                self.topics.setdefault(name, [PartitionLog() for _ in range(n_partitions)])

    def configure(self, topic: str, settings: Mapping[str, str]) -> None:
        """Change a topic's settings: `cleanup.policy` and `max.message.bytes`."""
        with self.lock:
            for log in self.topics[topic]:
                log.is_compacted = "compact" in settings.get("cleanup.policy", "compact" if log.is_compacted else "")
                log.max_message_bytes = float(settings.get("max.message.bytes", log.max_message_bytes))

    def delete_records(self, topic: str, partition: int, *, before: int) -> None:
        """Delete a partition's records before an offset, as retention does."""
        with self.lock:
            log = self.topics[topic][partition]
            log.low = max(log.low, before)

    def consumer(self, config: Mapping[str, Any]) -> Consumer:
        """Return a consumer with these librdkafka properties."""
        client: Any = TwinConsumer(self, config)
        return client  # type: ignore[no-any-return]

    def producer(self, config: Mapping[str, Any]) -> Producer:
        """Return a producer with these librdkafka properties."""
        client: Any = TwinProducer(self, config)
        return client  # type: ignore[no-any-return]

    def group(self, group_id: str) -> Group:
        """Return the coordinator of a group."""
        return self._groups.setdefault(group_id, Group(self.places_of))

    def places_of(self, topic: str) -> list[Partition]:
        """Return the partitions of a topic."""
        return [(topic, partition) for partition in range(len(self.topics.get(topic, ())))]

    def log(self, place: Partition) -> PartitionLog | None:
        """Return the log of a partition; None where there is no such partition."""
        logs = self.topics.get(place[0], [])
        return logs[place[1]] if place[1] in range(len(logs)) else None

    def take_over(self, transactional_id: str) -> int:
        """Give a transactional id to a new producer; the transaction of the one before is aborted. Return its epoch."""
        self.end(transactional_id, State.ABORTED)
        self._epochs[transactional_id] = self._epochs.get(transactional_id, -1) + 1
        return self._epochs[transactional_id]

    def is_fenced(self, transactional_id: str, epoch: int) -> bool:
        """Say whether a transactional id belongs to a newer producer by now."""
        return self._epochs[transactional_id] != epoch

    def transaction(self, transactional_id: str) -> Transaction:
        """Return the open transaction of a transactional id."""
        return self._open.setdefault(transactional_id, Transaction())

    def end(self, transactional_id: str, state: State) -> None:
        """Commit or abort what is open under a transactional id."""
        transaction = self._open.pop(transactional_id, None)
        if transaction is None:
            return
        transaction.end(state)
        if state is State.COMMITTED:
            for group_id, offsets in transaction.offsets.items():
                self.group(group_id).committed.update(offsets)
