"""A person's decision is published by a transaction of its own, beside the batches of the loop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from model.policies.context import DecisionContext
from schemas import DecidedBy, Decision, Verdict, VerdictKind
from tests.brokers import Broker
from tests.worker.loop_rig import Rig
from tests.worker.payloads import record
from tests.worker.test_verdict_builder import strict
from worker.decide import ContextSource
from worker.errors import BatchAborted
from worker.kafka.partition_range import Partition
from worker.kafka.publisher import Notes, Offsets
from worker.outcome_encoding import OutgoingMessage
from worker.predictor import Predictor
from worker.record import Event, Record, Row
from worker.verdict_builder import VerdictBuilder


class People(ContextSource):
    """Block chat-0 as soon as its event is committed, and ask for a verdict on it."""

    def __init__(self, *, revision: int = 5) -> None:
        self.revision = revision
        self.ready: list[Row] = []
        self.in_hand: list[Row] = []
        self.done: list[Row] = []
        self.compared: list[str] = []
        self.said = False

    def on_committed(self, rows: Sequence[Row]) -> None:
        """Decide."""
        if not self.said:
            self.said = True
            self.ready = [Row(row.record, row.event) for row in rows if row.record.offset == 0]

    def bear(self, event: Event, builder: VerdictBuilder, context: DecisionContext) -> DecisionContext:  # noqa: ARG002
        """Say what was decided."""
        if not self.said or event.chat.chat_id != "chat-0":
            return context
        return replace(context, said={"*": Decision.BLOCK}, override_revision=self.revision, actor="reviewer-7")

    def take(self, owns: Callable[[Partition], bool]) -> list[Row]:
        """Return what is due."""
        if self.in_hand:
            return []
        self.in_hand, self.ready = [row for row in self.ready if owns((row.record.topic, row.record.partition))], []
        return self.in_hand

    def compare(self, rows: Sequence[Row], cached: Mapping[str, Verdict]) -> None:  # noqa: ARG002
        """Note which chats the cache shows."""
        self.compared += cached

    def answered(self, rows: Sequence[Row]) -> None:
        """Note it."""
        self.done += rows
        self.in_hand = []

    def rewound(self) -> None:
        """Have it come again."""
        self.ready, self.in_hand = [Row(row.record, row.event) for row in self.in_hand], []


def rig_of(broker: Broker, people: People, *more: list[Record]) -> Rig:
    """Return a rig of one batch and some turns more."""
    rig = Rig(
        broker,
        [record(0), record(1)],
        *more,
        sources=[people],
        answers=people,
        on_committed=people.on_committed,
        # An idle turn asks once: the commit that makes somebody decide must have ended by then.
        in_background=False,
    )
    rig.predictor = Predictor(rig.model, strict())  # type: ignore[arg-type]
    return rig


def test_a_decision_on_a_silent_chat_is_published_without_moving_an_offset(broker: Broker) -> None:
    """Same source, another kind, from the cached probabilities; Redis shows it."""
    people = People()
    rig = rig_of(broker, people, [])
    rig.loop.run()
    events, answers = rig.verdicts[:2], rig.verdicts[2:]
    assert [one.kind for one in events] == [VerdictKind.EVENT] * 2
    (answer,) = answers
    assert (answer.kind, answer.source) == (VerdictKind.OVERRIDE, events[0].source)
    assert (answer.decision, answer.decided_by) == (Decision.BLOCK, DecidedBy.OVERRIDE)
    assert (answer.model_decision, answer.actor) == (events[0].decision, "reviewer-7")
    assert (answer.override_revision, answer.cache_hit) == (5, True)
    assert rig.cache.stored["chat-0"] == answer
    assert rig.offsets == {0: 2}
    assert [commit.offsets for commit in rig.publisher.commits] == [{0: 2}, {}]
    assert (people.compared, len(people.done)) == (["chat-0"], 1)
    # Both texts were classified once, and not again for the answer.
    assert len(rig.model.asked) == 2


def test_a_decision_whose_transaction_is_aborted_is_published_after_all(broker: Broker) -> None:
    """The batch beside it is read again, and ends once."""
    people = People()
    rig = rig_of(broker, people, [record(2)], [], [])
    original = rig.publisher.inner.commit
    aborted: list[bool] = []

    def commit(
        messages: Sequence[OutgoingMessage], offsets: Offsets, member: object, notes: Notes | None = None
    ) -> None:
        if not offsets and not aborted:
            aborted.append(True)
            raise BatchAborted("an election")
        original(messages, offsets, member, notes)

    rig.publisher.inner.commit = commit  # type: ignore[method-assign]
    rig.loop.run()
    assert aborted
    kinds = [(one.chat_id, one.kind) for one in rig.verdicts]
    assert sorted(kinds) == [
        ("chat-0", VerdictKind.EVENT),
        ("chat-0", VerdictKind.OVERRIDE),
        ("chat-1", VerdictKind.EVENT),
        ("chat-2", VerdictKind.EVENT),
    ]
    assert rig.offsets == {0: 3}


def test_a_decision_that_was_taken_back_meanwhile_is_not_published(broker: Broker) -> None:
    """Nobody says anything of the chat any more."""
    people = People(revision=0)
    rig = rig_of(broker, people, [])
    rig.loop.run()
    assert [one.kind for one in rig.verdicts] == [VerdictKind.EVENT] * 2
    assert len(people.done) == 1
