"""What the conversation state gives to decisions and writes beside them, batch after batch."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from model.policies.context import NO_CONTEXT, DecisionContext
from schemas import CodecLimits, DecidedBy, Decision, RejectionReason
from schemas.conversation_state import decode_state
from tests.worker.conversation.parts import HOUR_MS, T0, T0_MS, holding_builder, policy, reading
from tests.worker.payloads import classification, record
from worker.conversation.held_chats import Kept
from worker.conversation.source import Conversations
from worker.conversation.state_reader import take
from worker.decide import decide
from worker.decode import Decoder
from worker.kafka.partition_range import Partition
from worker.outcome_encoding import OutgoingMessage
from worker.process.metrics import Metrics
from worker.record import Rejection, Row
from worker.verdict_builder import VerdictBuilder

HOLDING = holding_builder()


class Topic:
    """The state topic, as far as it is committed."""

    def __init__(self) -> None:
        self.records: list[OutgoingMessage] = []
        self.asked: list[set[Partition]] = []

    def restore(self, partitions: Collection[Partition]) -> dict[Partition, dict[str, Kept]]:
        """Read partitions."""
        self.asked.append(set(partitions))
        found: dict[Partition, dict[str, Kept]] = {place: {} for place in partitions}
        for one in self.records:
            if (place := one.place[:2]) in found:
                assert take(found[place], one.key, one.value, input_end=1_000_000)
        return found


class Worker:
    """A worker with the state of one input topic; batches are decided and committed one by one."""

    def __init__(self, topic: Topic, of: VerdictBuilder = HOLDING) -> None:
        self.topic, self.builder, self.metrics = topic, of, Metrics()
        self.source = Conversations("verdict-state", restore=topic.restore, metrics=self.metrics, now=lambda: T0)
        self.source.assigned([("chat-events", 0), ("chat-events", 1)])

    def decide(self, *rows: Row) -> list[str]:
        """Decide on a batch; return each row's decision."""
        decide(rows, self.builder, [self.source], T0)
        return [str(row.verdict.decision) if row.verdict is not None else "none" for row in rows]

    def commit(self, *rows: Row) -> list[OutgoingMessage]:
        """Commit a batch; return its states."""
        messages = list(self.source.messages(rows))
        self.topic.records += messages
        self.source.committed(rows)
        return messages

    def run(self, *rows: Row) -> list[str]:
        """Decide and commit."""
        decisions = self.decide(*rows)
        self.commit(*rows)
        return decisions

    @property
    def n_held(self) -> float:
        """How many chats the metric shows."""
        return self.metrics.registry.get_sample_value("moderation_held_chats") or 0.0


def says(offset: int, decision: Decision, chat_id: str = "a", *, after_ms: int = 0, partition: int = 0) -> Row:
    """Return a classified row."""
    made = record(offset, partition=partition, chat_id=chat_id)._replace(timestamp_ms=T0_MS - 10 * HOUR_MS + after_ms)
    (row,) = Decoder(CodecLimits()).decode([made])
    row.reading = reading(decision)
    return row


def blocks(offset: int, **rest: Any) -> Row:
    """Return a row that is blocked."""
    return says(offset, Decision.BLOCK, **rest)


def allows(offset: int, **rest: Any) -> Row:
    """Return a row that is allowed by what it says."""
    return says(offset, Decision.ALLOW, **rest)


def erases(offset: int, chat_id: str = "a") -> Row:
    """Return a row that asks that its chat be forgotten."""
    made = record(offset)._replace(key=chat_id.encode(), value=None, timestamp_ms=T0_MS)
    return Row(made, rejection=Rejection(RejectionReason.DECODE_ERROR, "found none; expected one", erases=True))


def test_a_block_holds_later_events_of_its_chat_in_the_batch_and_in_those_after_it() -> None:
    """Until its time is over; the verdicts name it."""
    worker = Worker(Topic())
    first = [allows(0), blocks(1), allows(2), allows(3, chat_id="b")]
    assert worker.run(*first) == ["allow", "block", "review", "allow"]
    assert first[2].verdict is not None
    assert first[2].verdict.decided_by is DecidedBy.HOLD
    assert first[2].verdict.previous is not None
    assert (first[2].verdict.previous.offset, first[2].verdict.previous.decided_at) == (1, T0)
    assert worker.run(allows(4, after_ms=HOUR_MS - 1)) == ["review"]
    assert worker.run(allows(5, after_ms=HOUR_MS)) == ["allow"]
    assert worker.n_held == 0


def test_a_batch_sees_what_the_one_before_decided_although_it_is_not_committed() -> None:
    """One batch is decided while another is committed."""
    worker = Worker(Topic())
    first, second = [blocks(0)], [allows(1)]
    worker.decide(*first)
    assert worker.decide(*second) == ["review"]
    assert [decode_state(one.value or b"").last.offset for one in worker.commit(*first)] == [0]
    assert [decode_state(one.value or b"").last.offset for one in worker.commit(*second)] == [1]


def test_states_lie_in_the_partition_of_their_chat_with_the_chat_as_key() -> None:
    """One record for each chat and batch; a chat whose hold is over leaves a tombstone."""
    worker = Worker(Topic())
    rows = [blocks(0, partition=1), blocks(1, partition=1), allows(2, partition=1), allows(0, chat_id="b")]
    worker.decide(*rows)
    (written,) = worker.commit(*rows)
    assert (written.topic, written.key, written.partition) == ("verdict-state", b"a", 1)
    state = decode_state(written.value or b"")
    assert (state.held["p"].offset, state.last.offset, state.last.decision) == (1, 2, Decision.REVIEW)
    late = [allows(3, partition=1, after_ms=HOUR_MS), allows(4, partition=1, after_ms=HOUR_MS)]
    worker.decide(*late)
    assert [(one.key, one.value) for one in worker.commit(*late)] == [(b"a", None)]


def test_an_aborted_batch_leaves_no_hold_and_what_was_committed_is_read_again() -> None:
    """Its records are read again; of a commit in doubt only the topic knows."""
    worker = Worker(Topic())
    worker.run(blocks(0, chat_id="b"))
    worker.decide(blocks(1))
    worker.source.rewound()
    assert worker.run(allows(1), allows(2, chat_id="b")) == ["allow", "review"]
    assert worker.topic.asked == [{("chat-events", 0), ("chat-events", 1)}] * 2


def test_another_worker_goes_on_with_the_same_decisions() -> None:
    """Whatever the first one's memory held: the topic is what counts."""
    topic = Topic()
    Worker(topic).run(blocks(0), blocks(1, chat_id="b", after_ms=-HOUR_MS))
    heir = Worker(topic)
    assert heir.run(allows(2), allows(3, chat_id="b"), allows(4, after_ms=HOUR_MS)) == ["review", "allow", "allow"]


def test_a_partition_that_went_away_is_restored_when_it_comes_back_and_the_others_are_not_read_again() -> None:
    """Somebody else decided on it meanwhile."""
    topic = Topic()
    worker = Worker(topic)
    worker.run(blocks(0), blocks(0, chat_id="c", partition=1))
    worker.source.released([("chat-events", 0)])
    assert worker.n_held == 1
    Worker(topic).run(allows(1, after_ms=HOUR_MS), blocks(2, chat_id="b"))
    worker.source.assigned([("chat-events", 0)])
    assert worker.run(allows(3), allows(4, chat_id="b"), allows(1, chat_id="c", partition=1)) == [
        "allow",
        "review",
        "review",
    ]
    assert topic.asked[-1] == {("chat-events", 0)}


def test_an_event_that_is_read_again_does_not_lengthen_its_hold() -> None:
    """At least once: the state is ahead of the offsets after a crash."""
    topic = Topic()
    Worker(topic).run(blocks(0))
    heir = Worker(topic)
    again = blocks(0, after_ms=HOUR_MS // 2)
    assert heir.run(again) == ["block"]
    assert again.verdict is not None
    assert again.verdict.previous is None
    assert heir.run(allows(1, after_ms=HOUR_MS)) == ["allow"]


def test_where_no_policy_holds_nothing_is_read_written_or_kept() -> None:
    """Not even on a worker that has a state topic."""
    topic = Topic()
    worker = Worker(topic, holding_builder(policy(hold_s=0.0)))
    assert worker.run(blocks(0), allows(1)) == ["block", "allow"]
    assert (topic.asked, topic.records, worker.n_held) == ([], [], 0)


def test_a_reload_begins_and_ends_holding() -> None:
    """What is there is read when it is needed for the first time; without holds it is let go."""
    topic = Topic()
    Worker(topic).run(blocks(0))
    worker = Worker(topic, holding_builder(policy(hold_s=0.0)))
    assert worker.run(allows(1)) == ["allow"]
    worker.builder = HOLDING
    assert worker.run(allows(2)) == ["review"]
    worker.builder = holding_builder(policy(hold_s=0.0))
    assert worker.run(allows(3)) == ["allow"]
    assert worker.n_held == 0


def test_a_batch_of_the_policy_before_is_still_written_while_the_next_holds_nothing() -> None:
    """It may be in its commit when the reload takes over."""
    worker = Worker(Topic())
    first = [blocks(0)]
    worker.decide(*first)
    worker.builder = holding_builder(policy(hold_s=0.0))
    worker.decide(allows(1))
    assert [one.key for one in worker.commit(*first)] == [b"a"]
    assert worker.n_held == 0


def test_a_tombstone_forgets_the_chat_for_the_rest_of_its_batch_too() -> None:
    """Whoever asks for it by key alone, and where nothing holds any more."""
    topic = Topic()
    worker = Worker(topic)
    worker.run(blocks(0))
    rows = [allows(1), erases(2), allows(3)]
    assert worker.decide(*rows) == ["review", "none", "allow"]
    assert [(one.key, one.value, one.partition) for one in worker.commit(*rows)] == [(b"a", None, 0)]
    idle = Worker(topic, holding_builder(policy(hold_s=0.0)))
    idle.decide(erases(4))
    assert [one.value for one in idle.commit(erases(4))] == [None]
    assert topic.asked == [{("chat-events", 0), ("chat-events", 1)}]


def test_a_tombstone_of_an_aborted_batch_forgets_nothing() -> None:
    """It comes again."""
    worker = Worker(Topic())
    worker.run(blocks(0))
    worker.decide(erases(1))
    worker.source.rewound()
    assert worker.run(allows(1)) == ["review"]


def test_chats_that_never_speak_again_leave_the_topic_and_the_memory() -> None:
    """An hour after their holds, by the clock of the partition's records, with the batches of others."""
    worker = Worker(Topic())
    worker.run(blocks(0), blocks(1, chat_id="b", after_ms=2 * HOUR_MS))
    rows = [allows(2, chat_id="c", after_ms=2 * HOUR_MS)]
    worker.decide(*rows)
    assert [(one.key, one.value) for one in worker.commit(*rows)] == [(b"a", None)]
    assert worker.n_held == 1


def test_a_record_from_the_future_ends_no_hold_of_others() -> None:
    """It counts as written now."""
    worker = Worker(Topic())
    now = 10 * HOUR_MS
    worker.run(blocks(0, after_ms=now))
    worker.run(allows(1, chat_id="b", after_ms=1_000 * HOUR_MS))
    assert worker.run(allows(2, after_ms=now)) == ["review"]


def test_a_chat_without_a_hold_keeps_the_context_it_came_with() -> None:
    """Most events: the very same object, by which the builder knows that nothing bears on them."""
    worker = Worker(Topic())
    worker.run(blocks(0))
    event = allows(1, chat_id="other").event
    assert event is not None
    assert worker.source.bear(event, HOLDING, NO_CONTEXT) is NO_CONTEXT
    said = DecisionContext(override_revision=3)
    held = allows(2).event
    assert held is not None
    both = worker.source.bear(held, HOLDING, said)
    assert both.override_revision == 3
    assert both.held == frozenset({"p"})


def test_an_override_lifts_a_hold_only_while_it_lasts() -> None:
    """The block stays known."""
    worker = Worker(Topic())
    worker.run(blocks(0))
    row = allows(1)
    assert row.event is not None
    context = worker.source.bear(row.event, HOLDING, DecisionContext(said={"p": Decision.ALLOW}, override_revision=1))
    row.verdict = HOLDING.verdict(row.event, classification(), T0 + timedelta(seconds=1), context)
    worker.source.decided(row.event, row.verdict)
    assert row.verdict.decided_by is DecidedBy.OVERRIDE
    worker.commit(row)
    assert worker.run(allows(2)) == ["review"]
