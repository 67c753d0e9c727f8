"""What becomes of a partition whose next offset is not on the broker any more, as `kafka.lost_offsets` says.

It is paused, or ends the worker, or goes on behind the gap. The other partitions go on.

Invariant: each lost offset is counted once by a process, however often a partition goes back to its committed offset.
"""

from collections.abc import Collection, Iterable

import structlog

from worker.errors import Fatal
from worker.kafka.client import KafkaConsumer
from worker.kafka.fetch_control import FetchControl
from worker.kafka.partition_range import Partition
from worker.process.metrics import Metrics
from worker.settings.kafka import LostOffsetsPolicy

log = structlog.get_logger()

_REMEDY = (
    "write the records to the topic again where they exist elsewhere; then let this partition go on at the earliest "
    "record left with MODERATION_KAFKA__LOST_OFFSETS=count"
)


class LostOffsets:
    """Counts lost offsets and holds their partitions back.

    Args:
        client: The consumer that reads them.
        policy: What becomes of a partition.
        metrics: Where the loss is shown.
    """

    def __init__(self, client: KafkaConsumer, policy: LostOffsetsPolicy, metrics: Metrics) -> None:
        self.paused: set[Partition] = set()
        """Partitions that are assigned and not read."""
        self._policy = policy
        self._metrics = metrics
        self._fetching = FetchControl(client)
        self._counted: dict[Partition, tuple[int, int]] = {}

    def found(self, place: Partition, *, start: int, low: int, high: int) -> None:
        """Take that a partition was to be read from `start` on, and the broker holds `low` to `high`.

        Raises:
            Fatal: the policy is to stop.
        """
        lost = (start, low) if start < low else (high, start)
        if n_lost := self._not_counted(place, lost):
            topic, partition = place
            self._metrics.lost_records.inc(n_lost)
            log.error(
                "offsets_lost", topic=topic, partition=partition, committed=start, low=low, high=high, n_lost=n_lost
            )
        if self._policy is LostOffsetsPolicy.STOP:
            raise Fatal(
                f"{place[0]}[{place[1]}]: committed offset {start}, but the broker holds {low}..{high}: up to "
                f"{lost[1] - lost[0]} records are lost; restore them, or accept the loss with "
                "MODERATION_KAFKA__LOST_OFFSETS=count"
            )
        if self._policy is LostOffsetsPolicy.PAUSE and place not in self.paused:
            self.paused.add(place)
            self._metrics.partition_paused.labels(place[0], str(place[1])).set(1)
            log.error("partition_paused", topic=place[0], partition=place[1], cause="offsets_lost", remedy=_REMEDY)

    def hold(self, assigned: Collection[Partition]) -> None:
        """Fetch nothing of the paused partitions; all of them are assigned by now."""
        self._fetching.hold(self.paused & set(assigned), assigned)

    def restart(self, place: Partition, offset: int) -> None:
        """Fetch a partition from an offset on, though the client has given it up."""
        self._fetching.restart(place, offset)

    def released(self, places: Iterable[Partition]) -> None:
        """Take that these are somebody else's now, who will find the same."""
        places = list(places)
        for place in places:
            if place in self.paused:
                self.paused.discard(place)
                self._metrics.partition_paused.remove(place[0], str(place[1]))
        self._fetching.forget(places)

    def _not_counted(self, place: Partition, lost: tuple[int, int]) -> int:
        """Return how many of these offsets are new."""
        first, end = lost
        before = self._counted.get(place, (end, end))
        n_known = max(0, min(end, before[1]) - max(first, before[0]))
        touches = first <= before[1] and before[0] <= end
        self._counted[place] = (min(first, before[0]), max(end, before[1])) if touches else lost
        return end - first - n_known
