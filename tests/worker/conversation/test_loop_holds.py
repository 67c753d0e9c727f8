"""Holds in the loop over a broker: what a transaction takes with it, and what an abort leaves behind."""

from collections.abc import Collection
from typing import Any

import pytest

from schemas import DecidedBy, Decision
from schemas.conversation_state import decode_state
from tests.brokers import Broker, read, unique
from tests.worker.conversation.parts import T0_MS, holding_builder, reading
from tests.worker.loop_rig import Model, Rig
from tests.worker.payloads import record
from worker.conversation.held_chats import Kept
from worker.conversation.source import Conversations
from worker.conversation.state_reader import take
from worker.errors import BatchAborted
from worker.kafka.partition_range import Partition
from worker.predictor import Predictor
from worker.process.metrics import Metrics
from worker.record import Record


class Judge(Model):
    """Blocks what says "bad"."""

    def classify(self, conversations: Any) -> Any:
        """Answer."""
        _, stats = super().classify(conversations)
        answers = [Decision.BLOCK if "bad" in turns[0].text else Decision.ALLOW for turns in conversations]
        return [reading(decision) for decision in answers], stats


class Holding:
    """A loop that holds, over a broker with a state topic.

    Args:
        broker: The broker.
        batches: What is written for the loop.
        rest: Of the rig.
    """

    def __init__(self, broker: Broker, *batches: list[Record], **rest: Any) -> None:
        self.broker, self.topic, self.n_restores = broker, unique("verdict-state"), 0
        broker.create_topics({self.topic: 2})
        broker.configure(self.topic, {"cleanup.policy": "compact"})
        predictor = Predictor(Judge(), holding_builder())  # type: ignore[arg-type]
        source = Conversations(self.topic, restore=self._restore, metrics=Metrics())
        self.rig = Rig(broker, *batches, predictor=lambda: predictor, sources=[source], **rest)

    def _restore(self, partitions: Collection[Partition]) -> dict[Partition, dict[str, Kept]]:
        self.n_restores += 1
        found: dict[Partition, dict[str, Kept]] = {place: {} for place in partitions}
        by_number = {place[1]: chats for place, chats in found.items()}
        for message in read(self.broker, self.topic):
            if (chats := by_number.get(message.partition() or 0)) is not None:
                assert take(chats, message.key(), message.value(), input_end=1_000)
        return found

    @property
    def decisions(self) -> list[str]:
        """What a reader sees, in order."""
        return [verdict.decision.value for verdict in self.rig.verdicts]


def says(offset: int, text: str, *, partition: int = 0, chat_id: str = "a") -> Record:
    """Return an event."""
    made = record(
        offset, partition=partition, chat_id=chat_id, messages=[{"role": "user", "content": f"{text} {offset}"}]
    )
    return made._replace(timestamp_ms=T0_MS + offset)


def test_states_are_written_where_their_chats_are_in_the_transaction_of_their_batch(broker: Broker) -> None:
    """Whatever partition the key itself would go to."""
    held = Holding(broker, [says(0, "bad", partition=1)], [says(1, "good", partition=1), says(0, "good", chat_id="b")])
    held.rig.loop.run()
    # Which partition is read first is the broker's business.
    assert sorted((one.chat_id, one.source.offset, one.decision.value) for one in held.rig.verdicts) == [
        ("a", 0, "block"),
        ("a", 1, "review"),
        ("b", 0, "allow"),
    ]
    states = read(broker, held.topic)
    assert [(message.key(), message.partition()) for message in states] == [(b"a", 1), (b"a", 1)]
    assert [decode_state(message.value() or b"").last.offset for message in states] == [0, 1]
    first, *rest = (commit.n_messages for commit in held.rig.publisher.commits)
    assert (first, sum(rest)) == (2, 3)


@pytest.mark.parametrize("in_doubt", [False, True])
def test_an_aborted_batch_leaves_no_hold(broker: Broker, in_doubt: bool) -> None:
    """The first batch is read again, and decided as the first time; nothing of it was on the topic."""
    batches = [says(0, "good"), says(1, "bad")], [says(2, "good")]
    held = Holding(broker, *map(list, batches), failures=[BatchAborted("no", in_doubt=in_doubt)])
    held.rig.loop.run()
    assert held.rig.consumer.n_rewinds == 1
    assert held.decisions == ["allow", "block", "review"]
    assert [verdict.previous and verdict.previous.offset for verdict in held.rig.verdicts] == [None, None, 1]
    assert held.n_restores == 2
    states = read(broker, held.topic, isolation="read_uncommitted")
    assert decode_state(states[0].value() or b"").held["p"].offset == 1


def test_a_cached_verdict_is_decided_under_the_hold(broker: Broker) -> None:
    """The same text as before the block: its probabilities are known, its `allow` counts no more."""
    same: dict[str, Any] = {"chat_id": "a", "messages": [{"role": "user", "content": "good"}]}
    first, again, later = (record(offset, **same)._replace(timestamp_ms=T0_MS + offset) for offset in (0, 2, 3))
    held = Holding(broker, [first], [says(1, "bad")], [again], [later], in_background=False)
    held.rig.loop.run()
    assert held.decisions == ["allow", "block", "review", "review"]
    assert [verdict.cache_hit for verdict in held.rig.verdicts] == [False, False, False, True]
    assert held.rig.verdicts[3].decided_by is DecidedBy.HOLD
