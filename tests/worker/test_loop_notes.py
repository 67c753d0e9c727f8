"""The notes beside the offsets: a debt is in the note of its own commit, and idle turns keep the notes right."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from tests.brokers import Broker, unique
from tests.worker.loop_rig import Cache, Commit, Rig
from tests.worker.payloads import record
from worker.cache.entries import Entry
from worker.cache.owed_entries import OwedRange, Partition
from worker.cache.owed_notes import from_note, to_note
from worker.kafka.publisher import AtLeastOncePublisher, Publisher, TransactionalPublisher


@dataclass
class RefusingCache(Cache):
    """A cache that owes every write."""

    owed: dict[Partition, int] = field(default_factory=dict)

    def put_many(self, entries: Iterable[Entry]) -> list[Entry]:
        """Owe."""
        for entry in entries:
            place = (entry.source.topic, entry.source.partition)
            self.owed[place] = min(entry.source.offset, self.owed.get(place, entry.source.offset))
        return []

    def owed_from(self) -> Mapping[Partition, int]:
        """Return the lowest owed offsets."""
        return self.owed

    def owe_range(self, owed: OwedRange) -> None:
        """Nothing is taken over here."""


@pytest.fixture
def cache() -> RefusingCache:
    """Return the cache."""
    return RefusingCache()


def noted_from(rig: Rig, partition: int = 0) -> int | None:
    """Return from which offset on the cache is owed records, as the note beside the committed offset says."""
    (found,) = rig.consumer.client.committed([TopicPartition(rig.events, partition)], timeout=30)
    return from_note(found.metadata)


def test_a_write_that_fails_before_the_commit_is_in_the_note_of_that_commit(
    broker: Broker, cache: RefusingCache
) -> None:
    """Else a worker killed right after it would leave an old `allow` that nobody knows of."""
    rig = Rig(broker, [record(0), record(1)], [record(2)], cache=cache, keeps_notes=True)
    rig.loop.run()
    assert rig.publisher.commits == [Commit(2, {0: 2}, {0: to_note(0)}), Commit(1, {0: 3}, {0: to_note(0)})]
    assert noted_from(rig) == 0


class LosingCache(RefusingCache):
    """A cache that learns with the next partition's write that it lost those before."""

    def put_many(self, entries: Iterable[Entry]) -> list[Entry]:
        """Write; owe what was lost."""
        for entry in entries:
            if entry.source.partition == 1:
                self.owed[entry.source.topic, 0] = 0
        return []


def test_a_debt_of_a_quiet_partition_is_noted_with_the_commit_of_a_busy_one(broker: Broker) -> None:
    """No turn is idle while other partitions have records, and a worker may be killed all that time."""
    batches = [[record(0)], [record(0, chat_id="other", partition=1)]]
    rig = Rig(broker, *batches, cache=LosingCache(), keeps_notes=True)
    rig.loop.run()
    assert rig.publisher.commits == [Commit(1, {0: 1}), Commit(1, {0: 1, 1: 1}, {0: to_note(0)})]
    assert [noted_from(rig, partition) for partition in range(2)] == [0, None]


def test_an_idle_turn_takes_the_note_away_once_the_debt_is_paid(broker: Broker, cache: RefusingCache) -> None:
    """A successor would read again what Redis has long had."""
    rig = Rig(broker, [record(0)], [], [], cache=cache, keeps_notes=True)
    polled = rig.consumer.poll_batch

    def poll_batch(**limits: Any) -> Any:
        records = polled(**limits)
        # The batch before is committed by the time at which an idle turn looks.
        if not records:
            rig.commits.settle()
            cache.owed = {}
        return records

    rig.consumer.poll_batch = poll_batch  # type: ignore[method-assign]
    rig.loop.run()
    assert rig.publisher.commits == [Commit(1, {0: 1}, {0: to_note(0)}), Commit(0, {0: 1})]
    assert noted_from(rig) is None


@pytest.mark.parametrize("is_transactional", [True, False])
def test_both_publishers_commit_the_note_with_the_offset(broker: Broker, is_transactional: bool) -> None:
    """An offset without its note, or the other way round, would let a debt go."""
    events = unique("chat-events")
    broker.create_topics({events: 2})
    consumer = broker.consumer({"group.id": unique("group"), "enable.auto.commit": False})
    publisher: Publisher = AtLeastOncePublisher(
        broker.producer({"enable.idempotence": True}), consumer, request_timeout_s=30
    )
    if is_transactional:
        publisher = TransactionalPublisher(
            lambda: broker.producer({"transactional.id": unique("id")}),
            transaction_timeout_s=60,
            request_timeout_s=30,
            unreachable_exit_s=30,
        )
    places = [(events, 0), (events, 1)]
    member = consumer.consumer_group_metadata()
    publisher.commit([], dict(zip(places, (9, 4), strict=True)), member, {places[0]: to_note(7)})
    found = consumer.committed([TopicPartition(*place) for place in places], timeout=30)
    assert [(one.offset, from_note(one.metadata)) for one in found] == [(9, 7), (4, None)]
