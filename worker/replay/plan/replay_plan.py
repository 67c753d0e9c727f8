"""The plan of a replay: which offsets it covers, fixed once by whichever process is first, shared by all."""

from typing import Final

from pydantic import AwareDatetime, Field

from worker.kafka.partition_range import Frozen, Partition, PartitionRange
from worker.replay.plan.request import ReplayRequest


class ReplayPlan(Frozen):
    """What one replay id stands for, for good."""

    replay_id: str
    request: ReplayRequest
    ranges: tuple[PartitionRange, ...]
    topic_ids: dict[str, str]
    """By topic, the id that Kafka gave it: another one means that the topic was deleted and made again."""
    old_verdicts: tuple[PartitionRange, ...] = ()
    """Where the verdicts lie that the new ones are compared with."""
    planned_at: AwareDatetime

    @property
    def by_partition(self) -> dict[Partition, PartitionRange]:
        """The ranges by topic and partition."""
        return {one.place: one for one in self.ranges}

    @property
    def n_offsets(self) -> int:
        """Offsets of all ranges."""
        return sum(one.n_offsets for one in self.ranges)


PLAN_FORMAT_VERSION: Final = 2
"""Of what the control topic holds; 1 named no version, and its tallies moves between codes of one letter."""


class StoredReplay(Frozen):
    """What the control topic holds under a replay id."""

    format_version: int = Field(default=1, ge=1, le=PLAN_FORMAT_VERSION)
    """A plan of a later one is skipped: nobody can tell what it stands for."""
    plan: ReplayPlan
    notes: dict[str, dict[int, str]] | None = None
    """Once finished: by topic and partition, the final tally. It outlives the group's committed offsets."""
