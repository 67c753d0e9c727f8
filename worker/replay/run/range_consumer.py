"""The worker's consumer, held to the ranges of a plan.

Invariants: no record outside its range is handed out; a partition that is read to its end is paused, so that nothing
behind the end is fetched; offsets without a record, and records that are not asked for, are committed too.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from worker.errors import Fatal
from worker.kafka.client import KafkaConsumer
from worker.kafka.consumer import ReadHeaders, RecordConsumer
from worker.kafka.fetch_control import FetchControl
from worker.kafka.partition_range import Partition
from worker.kafka.positions import Position
from worker.record import Record
from worker.replay.plan.replay_plan import ReplayPlan
from worker.replay.plan.selection import Selection, dead_letter_of, with_origin
from worker.replay.report.tally import Tally
from worker.replay.run.progress import PartitionProgress, Progress, mark_batch
from worker.replay.run.publisher import ReplayPublisher
from worker.replay.run.throttle import LagGuard, RateLimit

log = structlog.get_logger()

_COMMIT_SKIPPED_S: Final = 2.0
"""How often offsets are committed while no record is asked for."""
_NO_ALLOWANCE_S: Final = 0.05
_POLL_AT_LEAST_S: Final = 1.0


class RangeConsumer(RecordConsumer):
    """A subscribed consumer that reads the ranges of a plan and nothing else.

    Args:
        consumer: A client that reports the ends of partitions.
        plan: The ranges.
        selection: Which records are taken.
        progress: Owned partitions; shared with the publisher.
        wait_commit: Waits for the commit in flight and raises its error.
        rate: Rate limit, or None.
        guard: Holds the replay while live workers are behind, or None.
        stopping: Set when the loop ends.
        publisher: Commits offsets that no batch will.
        rest: What `RecordConsumer` takes.
    """

    def __init__(
        self,
        consumer: KafkaConsumer,
        *,
        plan: ReplayPlan,
        selection: Selection,
        progress: Progress,
        wait_commit: Callable[[], None],
        rate: RateLimit | None,
        guard: LagGuard | None,
        stopping: threading.Event,
        publisher: ReplayPublisher,
        **rest: Any,
    ) -> None:
        self._plan = plan
        self._spans = plan.by_partition
        self._selection = selection
        self._progress = progress
        self._wait_commit = wait_commit
        self._rate = rate
        self._guard = guard
        self._stopping = stopping
        self._held = False
        self._fetching = FetchControl(consumer)
        self._ends: list[tuple[Partition, int]] = []
        self._holes: list[Partition] = []
        self._not_taken: set[tuple[str, int, int]] = set()
        self._committed_at = self._polled_at = time.monotonic()
        self._publisher = publisher
        super().__init__(consumer, topics=plan.request.topics, **rest)

    def poll_batch(self, *, max_records: int, max_bytes: int) -> list[Record]:
        """Return the next records that are asked for; see `RecordConsumer.poll_batch`.

        Raises:
            BatchAborted: the commit in flight, or the one of skipped offsets, failed.
            Fatal: as `RecordConsumer.poll_batch`; or the group has lost its committed offsets.
        """
        self._commit_passed()
        hold = self._guard is not None and self._guard.holding()
        if self._rate is not None:
            max_records = min(max_records, self._rate.allowance())
            if not max_records:
                self._stopping.wait(_NO_ALLOWANCE_S)
                if time.monotonic() - self._polled_at < _POLL_AT_LEAST_S:
                    return []
                # The group must not wait for a slow rate: a poll over paused partitions serves its callbacks.
                hold, max_records = True, 1
        self._hold(hold)
        self._polled_at = time.monotonic()
        self._ends, self._holes, self._not_taken = [], [], set()
        taken = self._passed(super().poll_batch(max_records=max_records, max_bytes=max_bytes))
        self._pass_ends()
        if self._rate is not None:
            self._rate.take(len(taken))
        mark_batch(self._progress, taken)
        return taken

    def _on_end(self, place: Partition, offset: int) -> None:
        self._ends.append((place, offset))

    def _on_hole(self, place: Partition) -> None:
        self._holes.append(place)

    def _taken(self, record: Record, read_headers: ReadHeaders) -> Record | None:
        if (record.topic, record.partition) not in self._progress:
            return None
        letter = dead_letter_of(read_headers() or ()) if self._plan.request.redrive else None
        if not self._selection.takes(record, letter):
            self._not_taken.add(record.place)
        return with_origin(record, letter)

    def _passed(self, records: list[Record]) -> list[Record]:
        """Move over the records just read and return those that are asked for."""
        taken = []
        for record in records:
            one = self._progress.get((record.topic, record.partition))
            wanted = record.place not in self._not_taken
            # A callback in the same poll may have taken the partition away.
            if one is not None and one.pass_record(record.offset, taken=wanted) and wanted:
                taken.append(record)
        return taken

    def _pass_ends(self) -> None:
        for place, offset in self._ends:
            if (one := self._progress.get(place)) is not None and offset >= one.span.end:
                one.pass_to(offset)
        for place in self._holes:
            if (one := self._progress.get(place)) is not None:
                self._note_loss(one, self._positions.limits(place)[0])
                self._fetching.restart(place, one.frontier)
        self._fetch_what_is_left()

    def _note_loss(self, one: PartitionProgress, low: int) -> None:
        span, start = one.span, one.frontier
        n_lost = one.lose_to(low)
        if n_lost:
            self._metrics.lost_records.inc(n_lost)
            log.error("offsets_lost", topic=span.topic, partition=span.partition, start=start, low=low, n_lost=n_lost)

    def _commit_passed(self) -> None:
        """Commit offsets that no batch will: behind the last record asked for, or none asked for in a while.

        Called before a poll, when every record handed out is in a commit.
        """
        late = time.monotonic() - self._committed_at > _COMMIT_SKIPPED_S
        open_ = [one for one in self._progress.values() if not one.is_committed and (one.is_read or late)]
        if not open_:
            return
        # The batches before must have gone through, or their records would be passed over.
        self._wait_commit()
        open_ = [one for one in open_ if not one.is_committed]
        for one in open_:
            one.mark(one.frontier)
        if open_:
            self._publisher.commit([], {one.span.place: one.frontier for one in open_}, self.group_member())
        self._committed_at = time.monotonic()

    def _start_of(self, position: Position) -> int:
        (topic, partition), committed = position.place, position.committed
        span = self._spans.get(position.place)
        if span is None:
            return position.high
        if committed is None:
            raise Fatal(
                f"{topic}[{partition}]: group {self._settings.group_id} has lost its committed offset; expected the "
                "one that was committed with the plan; judging from the start would repeat verdicts: start a "
                "replay with a new id over the range that is left"
            )
        if committed > position.high:
            raise Fatal(
                f"{topic}[{partition}]: committed offset {committed}, but the broker holds "
                f"{position.low}..{position.high}; expected all that was there when the range was fixed; the topic was "
                "truncated or made again"
            )
        one = PartitionProgress.resumed(span, committed, Tally.from_note(position.note))
        self._note_loss(one, position.low)
        self._progress[position.place] = one
        return min(one.frontier, position.high)

    def _on_assigned(self, places: Sequence[Partition]) -> None:
        self._fetching.forget(places)
        self._fetch_what_is_left()

    def _on_released(self, places: Sequence[Partition]) -> None:
        for place in places:
            self._progress.pop(place, None)
        self._fetching.forget(places)

    def rewind(self) -> None:
        """Go back to the committed offsets of all owned partitions; see `RecordConsumer.rewind`."""
        super().rewind()
        self._fetch_what_is_left()

    def _hold(self, hold: bool) -> None:
        if hold != self._held:
            self._held = hold
            self._fetch_what_is_left()

    def _fetch_what_is_left(self) -> None:
        """Fetch only what is left of the ranges."""
        held = {
            place
            for place in self._assigned
            if self._held or place not in self._progress or self._progress[place].is_read
        }
        self._fetching.hold(held, self._assigned.keys())

    def lag_records(self) -> int:
        """Return the offsets left in the owned ranges."""
        for (topic, partition), one in self._progress.items():
            self._metrics.lag_records.labels(topic, str(partition)).set(one.n_left)
        return sum(one.n_left for one in self._progress.values())
