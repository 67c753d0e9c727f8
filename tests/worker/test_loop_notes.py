"""The notes beside the offsets: a debt is in the note of its own commit, and idle turns keep the notes right."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from tests.worker.kafka.fake_kafka import MEMBER, FakeConsumer, FakeProducer
from tests.worker.loop_rig import Cache, Publisher, Rig
from tests.worker.payloads import record
from worker.cache.entries import Entry
from worker.cache.owed_entries import OwedRange, Partition
from worker.cache.owed_notes import OwedNotes, from_note, to_note
from worker.kafka.publisher import AtLeastOncePublisher, TransactionalPublisher
from worker.outcome_encoding import OutgoingMessage

P0 = ("chat-events", 0)


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


@dataclass
class NotingPublisher(Publisher):
    """Keeps the notes of each commit."""

    commits: list[tuple[int, dict[Partition, int], dict[Partition, str]]] = field(default_factory=list)

    def commit(self, messages: Sequence[OutgoingMessage], offsets: Any, member: object, notes: Any = None) -> None:
        """Commit, or raise."""
        super().commit(messages, offsets, member)
        self.commits.append((len(messages), dict(offsets), dict(notes)))


@pytest.fixture
def cache() -> RefusingCache:
    """Return the cache."""
    return RefusingCache()


def rig_with(cache: RefusingCache, *batches: list[Any]) -> Rig:
    """Return a loop over these batches that keeps notes."""
    return Rig(*batches, cache=cache, publisher=NotingPublisher(), notes=OwedNotes(cache))


def test_a_write_that_fails_before_the_commit_is_in_the_note_of_that_commit(cache: RefusingCache) -> None:
    """Else a worker killed right after it would leave an old `allow` that nobody knows of."""
    rig = rig_with(cache, [record(5), record(6)], [record(7)])
    rig.loop.run()
    assert rig.publisher.commits == [  # type: ignore[attr-defined]
        (2, {P0: 7}, {P0: to_note(5)}),
        (1, {P0: 8}, {P0: to_note(5)}),
    ]


class LosingCache(RefusingCache):
    """A cache that learns with the next partition's write that it lost those before."""

    def put_many(self, entries: Iterable[Entry]) -> list[Entry]:
        """Write; owe what was lost."""
        if any(entry.source.partition == 1 for entry in entries):
            self.owed[P0] = 5
        return []


def test_a_debt_of_a_quiet_partition_is_noted_with_the_commit_of_a_busy_one() -> None:
    """No turn is idle while other partitions have records, and a worker may be killed all that time."""
    rig = rig_with(LosingCache(), [record(5)], [record(7)._replace(partition=1)])
    rig.loop.run()
    assert rig.publisher.commits == [  # type: ignore[attr-defined]
        (1, {P0: 6}, {}),
        (1, {P0: 6, ("chat-events", 1): 8}, {P0: to_note(5)}),
    ]


def test_an_idle_turn_takes_the_note_away_once_the_debt_is_paid(cache: RefusingCache) -> None:
    """A successor would read again what Redis has long had."""
    rig = rig_with(cache, [record(5)], [], [])
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
    assert rig.publisher.commits == [  # type: ignore[attr-defined]
        (1, {P0: 6}, {P0: to_note(5)}),
        (0, {P0: 6}, {}),
    ]


class NotingProducer(FakeProducer):
    """A producer that keeps the metadata of offsets."""

    metadata: tuple[str, ...] = ()

    def send_offsets_to_transaction(self, offsets: list[TopicPartition], member: object, timeout_s: float) -> None:
        """Keep what stands beside the offsets."""
        super().send_offsets_to_transaction(offsets, member, timeout_s)
        self.metadata = tuple(place.metadata for place in offsets)


class NotingConsumer(FakeConsumer):
    """The same for a consumer."""

    metadata: tuple[str, ...] = ()

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        """Keep what stands beside the offsets."""
        self.metadata = tuple(place.metadata for place in offsets)
        return super().commit(offsets=offsets, asynchronous=asynchronous)


def test_both_publishers_commit_the_note_with_the_offset() -> None:
    """An offset without its note, or the other way round, would let a debt go."""
    producer = NotingProducer()
    transactional = TransactionalPublisher(
        lambda: producer,  # type: ignore[arg-type,return-value]
        transaction_timeout_s=60,
        request_timeout_s=1,
        unreachable_exit_s=0,
    )
    consumer = NotingConsumer()
    at_least_once = AtLeastOncePublisher(FakeProducer(), consumer, request_timeout_s=1)  # type: ignore[arg-type]
    for publisher in (transactional, at_least_once):
        publisher.commit([], {P0: 9, ("chat-events", 1): 4}, MEMBER, {P0: to_note(7)})
    assert [from_note(note) for note in producer.metadata] == [7, None]
    assert consumer.metadata == producer.metadata
