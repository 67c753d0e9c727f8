"""How far a whole replay has come: the committed offsets of its group and the tallies beside them."""

from dataclasses import dataclass
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from worker.kafka.partition_range import Partition
from worker.replay.plan.replay_plan import ReplayPlan, StoredReplay
from worker.replay.report.tally import Tally, total


@dataclass(frozen=True)
class GroupState:
    """One look at the group."""

    plan: ReplayPlan
    offsets: dict[Partition, int]
    tallies: dict[Partition, Tally]

    @property
    def n_done(self) -> int:
        """Offsets behind the committed ones, of all ranges."""
        return sum(self.offsets[one.place] - one.start for one in self.plan.ranges)

    @property
    def is_complete(self) -> bool:
        """Whether every partition has reached its end."""
        return all(self.offsets[one.place] >= one.end for one in self.plan.ranges)

    @property
    def total(self) -> Tally:
        """The sum of all partitions."""
        return total(self.tallies.values())

    @property
    def n_lost(self) -> int:
        """Offsets that retention took, before the plan and since."""
        return sum(one.n_lost for one in self.plan.ranges) + self.total.reading.n_lost

    def open_of(self, places: set[Partition]) -> tuple[int, int]:
        """Return how many partitions are not at their end: of these places, and in all."""
        open_ = {one.place for one in self.plan.ranges if self.offsets[one.place] < one.end}
        return len(open_ & places), len(open_)

    def notes(self) -> dict[str, dict[int, str]]:
        """Return the tallies as the control topic keeps them."""
        notes: dict[str, dict[int, str]] = {}
        for (topic, partition), tally in self.tallies.items():
            notes.setdefault(topic, {})[partition] = tally.to_note()
        return notes


def finished_state(stored: StoredReplay) -> GroupState:
    """Return the state of a replay that has ended, from its own record."""
    notes = stored.notes or {}
    tallies = {
        (topic, partition): Tally.from_note(note)
        for topic, by_partition in notes.items()
        for partition, note in by_partition.items()
    }
    return GroupState(stored.plan, {one.place: one.end for one in stored.plan.ranges}, tallies)


def read_group_state(admin: AdminClient, group_id: str, plan: ReplayPlan, *, timeout_s: float) -> GroupState:
    """Ask the brokers for the committed offsets and tallies.

    A transaction that is still open is not waited for: what it will commit shows at the next look.

    Raises:
        KafkaException: the brokers do not answer, or refuse.
    """
    places = [TopicPartition(one.topic, one.partition) for one in plan.ranges]
    asked = ConsumerGroupTopicPartitions(group_id, places)
    (future,) = admin.list_consumer_group_offsets([asked], require_stable=False, request_timeout=timeout_s).values()
    offsets = {one.place: one.start for one in plan.ranges}
    tallies = {one.place: Tally() for one in plan.ranges}
    for found in future.result().topic_partitions:
        if found.error is None and found.offset >= 0:
            offsets[found.topic, found.partition] = found.offset
            tallies[found.topic, found.partition] = Tally.from_note(found.metadata)
    return GroupState(plan, offsets, tallies)


def live_lag(admin: AdminClient, group_id: str, topic: str, *, timeout_s: float) -> int | None:
    """Return the records that a live group has not committed yet; None where it has never committed anything.

    Raises:
        KafkaException: the brokers do not answer.
    """
    asked = ConsumerGroupTopicPartitions(group_id)
    (future,) = admin.list_consumer_group_offsets([asked], require_stable=False, request_timeout=timeout_s).values()
    committed = {
        TopicPartition(found.topic, found.partition): found.offset
        for found in future.result().topic_partitions
        if found.topic == topic and found.offset >= 0
    }
    if not committed:
        return None
    latest: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    ends = admin.list_offsets(dict.fromkeys(committed, latest), request_timeout=timeout_s)
    highs: dict[Partition, int] = {(end.topic, end.partition): answer.result().offset for end, answer in ends.items()}
    lag = 0
    for at, offset in committed.items():
        lag += max(0, highs[at.topic, at.partition] - offset)
    return lag
