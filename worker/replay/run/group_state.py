"""How far a whole replay has come: the committed offsets of its group and the tallies beside them."""

from dataclasses import dataclass

from worker.kafka.client import KafkaAdmin
from worker.kafka.committed import committed_offsets
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


def read_group_state(admin: KafkaAdmin, group_id: str, plan: ReplayPlan, *, timeout_s: float) -> GroupState:
    """Ask the brokers for the committed offsets and tallies.

    Raises:
        KafkaException: the brokers do not answer, or refuse.
    """
    places = [one.place for one in plan.ranges]
    offsets = {one.place: one.start for one in plan.ranges}
    tallies = {place: Tally() for place in places}
    for place, found in committed_offsets(admin, group_id, places, timeout_s=timeout_s).items():
        offsets[place] = found.offset
        tallies[place] = Tally.from_note(found.note)
    return GroupState(plan, offsets, tallies)
