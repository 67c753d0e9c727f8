"""Gives decisions what was decided on the chat before, and writes down what they leave.

Invariants: the state of a partition is restored before its first event is decided, after each assignment and after each
abort; states are written in the transaction of the batch that they follow from; what is not committed bears on nothing
once the batch was aborted.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import structlog

from model.policies.context import DecisionContext
from model.policies.policy_set import PolicySet
from schemas import Verdict, chat_of_key
from schemas.conversation_state import ConversationState, decode_state, encode_state
from worker.conversation.held_chats import Change, HeldChats, Kept
from worker.conversation.holds import Holding, bearing, blocks, happened_ms, holding, milliseconds, newest, state_after
from worker.decide import ContextSource
from worker.kafka.partition_range import Partition
from worker.outcome_encoding import OutgoingMessage
from worker.process.metrics import Metrics
from worker.record import Event, Place, Row
from worker.verdict_builder import VerdictBuilder

log = structlog.get_logger()

Restore = Callable[[Collection[Partition]], Mapping[Partition, dict[str, Kept]]]
"""Reads the committed states of input partitions, by chat; partitions without any may be left out."""

_LATE_MS: Final = 3_600_000
"""How much later than others in its partition a record may come and still meet the hold of its own time."""
_SWEPT_AT_ONCE: Final = 64
"""Chats of a partition that are looked at with each batch: 100,000 of them are through after 1,600 batches."""


def _now() -> datetime:
    return datetime.now(UTC)


class Conversations(ContextSource):
    """The decisions before.

    Args:
        topic: Where states are written, each in the partition with the number of its input partition.
        restore: Reads them back.
        metrics: Where held chats are shown.
        now: The clock.
    """

    def __init__(self, topic: str, *, restore: Restore, metrics: Metrics, now: Callable[[], datetime] = _now) -> None:
        self._topic = topic
        self._read = restore
        self._metrics = metrics
        self._now = now
        self._chats = HeldChats()
        self._assigned: set[Partition] = set()
        self._restored: set[Partition] = set()
        self._policies: PolicySet | None = None
        self._holding: Holding = {}
        self._state: ConversationState | None = None
        """Of the chat of the event that was asked about last."""
        self._clocks_ms: dict[Partition, int] = {}
        """The latest time of a committed record, by partition."""

    def assigned(self, partitions: Iterable[Partition]) -> None:
        """Take that these partitions are this worker's now, besides those it has."""
        self._assigned.update(partitions)

    def released(self, partitions: Iterable[Partition]) -> None:
        """Forget partitions, which are somebody else's now. No commit is in flight."""
        gone = set(partitions)
        self._assigned -= gone
        self._restored -= gone
        for partition in gone:
            self._clocks_ms.pop(partition, None)
        self._chats.release(gone)
        self._show()

    def bear(self, event: Event, builder: VerdictBuilder, context: DecisionContext) -> DecisionContext:
        """Hold the policies that blocked the chat not long ago."""
        self._state = None
        self._follow(builder.policies)
        if not self._holding:
            return context
        record = event.record
        partition = (record.topic, record.partition)
        if partition not in self._restored:
            self._restore(partition)
        encoded = self._chats.find(partition, event.chat.chat_id)
        if encoded is None:
            return context
        self._state = decode_state(encoded)
        at_ms = happened_ms(record, self._now())
        held = bearing(self._state, self._holding, offset=record.offset, at_ms=at_ms)
        if not held:
            return context
        return replace(context, previous=newest(held), held=context.held | held.keys())

    def decided(self, event: Event, verdict: Verdict) -> None:
        """Note what the decision leaves of the state."""
        # Most events: nothing was, and nothing begins.
        if not self._holding or (self._state is None and not blocks(verdict)):
            return
        record, chat_id = event.record, event.chat.chat_id
        at_ms = happened_ms(record, verdict.decided_at)
        after = state_after(self._state, verdict, self._holding, offset=record.offset, at_ms=at_ms)
        if after is not None:
            self._chats.note(Change(record.place, chat_id, Kept(after.until_ms, encode_state(after))))
        elif self._state is not None:
            self._chats.note(Change(record.place, chat_id, None))

    def passed(self, row: Row) -> None:
        """Forget a chat whose record asks for it, whether anything is known of it here or not."""
        rejection = row.rejection
        if rejection is None or not rejection.erases:
            return
        if (chat_id := rejection.chat_id or chat_of_key(row.record.key)) is not None:
            self._chats.note(Change(row.record.place, chat_id, None))

    def messages(self, rows: Sequence[Row]) -> Iterable[OutgoingMessage]:
        """Return the states that these rows changed, and tombstones for some chats whose holds are over."""
        changes = self._chats.changes(row.record.place for row in rows)
        yield from (self._message(one.place, one.chat_id, one.state) for one in changes)
        if not self._holding:
            return
        now_ms = milliseconds(self._now())
        for place, clock_ms in self._clocks_after(rows, now_ms).items():
            for chat_id in self._chats.sweep(place[:2], clock_ms - _LATE_MS, n_looked_at=_SWEPT_AT_ONCE):
                yield self._message(place, chat_id, None)

    def _message(self, place: Place, chat_id: str, state: Kept | None) -> OutgoingMessage:
        value = None if state is None else state.encoded
        return OutgoingMessage(self._topic, chat_id.encode(), value, [], place, partition=place[1])

    def _clocks_after(self, rows: Sequence[Row], now_ms: int) -> dict[Place, int]:
        """Return, for the last record of each partition, the latest time that the partition has come to, ms."""
        last: dict[Partition, Place] = {}
        for row in rows:
            record = row.record
            partition = (record.topic, record.partition)
            last[partition] = record.place
            if (written_ms := record.written_ms) is not None:
                known_ms = self._clocks_ms.get(partition, 0)
                self._clocks_ms[partition] = max(known_ms, min(written_ms, now_ms))
        return {place: self._clocks_ms.get(partition, 0) for partition, place in last.items()}

    def committed(self, rows: Sequence[Row]) -> None:
        """Take that a batch is committed."""
        self._chats.settle(row.record.place for row in rows)
        if not self._holding:
            self._chats.clear_committed()
        self._show()

    def rewound(self) -> None:
        """Forget everything: of a commit in doubt only the topic tells whether it went through."""
        self._restored.clear()
        self._chats.clear()
        self._show()

    def _follow(self, policies: PolicySet | None) -> None:
        """Take over the policies of this batch; where none of them holds any more, nothing is kept."""
        if policies is self._policies:
            return
        self._policies, self._holding = policies, holding(policies)
        if not self._holding:
            self._restored.clear()
            # What the batch before noted is still to be written: it may be in its commit.
            self._chats.clear_committed()
            self._show()

    def _restore(self, wanted: Partition) -> None:
        """Restore all partitions that were not read yet, so that each is not waited for on its own."""
        missing = (self._assigned | {wanted}) - self._restored
        log.info("states_restoring", n_partitions=len(missing))
        started = time.perf_counter()
        states = self._read(missing)
        self._chats.restore(states)
        self._restored |= missing
        self._show()
        log.info(
            "states_restored",
            n_partitions=len(missing),
            n_chats=sum(map(len, states.values())),
            restore_ms=round((time.perf_counter() - started) * 1_000),
        )

    def _show(self) -> None:
        self._metrics.held_chats.set(len(self._chats))
