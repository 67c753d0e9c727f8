"""A replay's transaction: verdicts, changes, and a tally beside each offset, from the rows that the loop settled."""

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from confluent_kafka import OFFSET_INVALID, Message, TopicPartition

from schemas import Decision, RejectionReason, encode_verdict
from tests.broker_twin.broker import TwinBroker
from tests.brokers import Broker, read, unique
from tests.worker.payloads import TOPICS, builder, classification, event, record
from worker.errors import BatchAborted, Fatal
from worker.kafka.partition_range import PartitionRange
from worker.kafka.publisher import TransactionalPublisher
from worker.moves.counts import Outcomes
from worker.outcome_encoding import next_offsets, settle, to_messages
from worker.record import Rejection, Row
from worker.replay.report.tally import Tally
from worker.replay.run.old_verdicts import OldVerdicts
from worker.replay.run.progress import PartitionProgress, Progress, mark_batch
from worker.replay.run.publisher import ChangeFinder, ReplayPublisher

PLACE = ("chat-events", 0)
CHANGES = "changes"
SPAN = PartitionRange(topic=PLACE[0], partition=PLACE[1], start=0, end=10)
STRICTER = {("allow", "block"): 1}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Replay:
    """A replay of one partition, whose transactions a broker takes.

    Args:
        broker: The broker.
        comparison: What the verdicts are compared with; changes go to its topic.
    """

    def __init__(self, broker: Broker, comparison: ChangeFinder | None) -> None:
        self._broker = broker
        self.topics = replace(TOPICS, verdicts=unique("verdicts"), dead_letters=unique("dlq"))
        broker.create_topics({PLACE[0]: 1, self.topics.verdicts: 1, self.topics.dead_letters: 1, CHANGES: 1})
        self.client = broker.consumer({"group.id": unique("group"), "enable.auto.commit": False})
        self.progress: Progress = {PLACE: PartitionProgress.resumed(SPAN, 0, Tally())}
        name = unique("id")
        inner = TransactionalPublisher(
            lambda: broker.producer({"transactional.id": name}),
            transaction_timeout_s=60.0,
            request_timeout_s=30.0,
            unreachable_exit_s=30.0,
        )
        self.publisher = ReplayPublisher(inner, self.progress, comparison)

    def commit(self, rows: list[Row]) -> Tally:
        """Read, settle and commit these rows; return the tally that was committed."""
        records = [row.record for row in rows]
        for one in records:
            self.progress[PLACE].pass_record(one.offset, taken=True)
        mark_batch(self.progress, records)
        settle(rows, self.topics)
        messages, offsets = to_messages(rows, self.topics), next_offsets(records)
        self.publisher.commit(messages, offsets, self.client.consumer_group_metadata())
        return Tally.from_note(self.committed.metadata)

    @property
    def committed(self) -> TopicPartition:
        """The committed offset."""
        return self.client.committed([TopicPartition(*PLACE)], timeout=30)[0]

    @property
    def verdicts(self) -> list[Message]:
        """The records of the verdict topic."""
        return read(self._broker, self.topics.verdicts)

    @property
    def dead_letters(self) -> list[Message]:
        """The records of the dead-letter topic."""
        return read(self._broker, self.topics.dead_letters)

    @property
    def changes(self) -> list[Message]:
        """The records of the changes topic."""
        return read(self._broker, CHANGES)


def judged(offset: int, decision: Decision = Decision.ALLOW, *, replay_id: str | None = "r1") -> Row:
    """Return the row of a record that this replay has judged."""
    judge = builder(replay_id=replay_id)
    return Row(record(offset), verdict=judge.fresh(event(offset), classification(decision=decision), NOW))


def rejected(offset: int) -> Row:
    """Return the row of a record that ends as a dead letter."""
    return Row(record(offset), rejection=Rejection(RejectionReason.SCHEMA_ERROR, "found x; expected y"))


@pytest.fixture
def comparison() -> ChangeFinder:
    """Return a comparison with `allow` on the records 0 to 2."""
    old = OldVerdicts([SPAN], "r1")
    for offset in range(3):
        verdict = judged(offset, replay_id=None).verdict
        assert verdict is not None
        old.add(encode_verdict(verdict))
    return ChangeFinder(old, CHANGES)


def test_the_tally_of_a_batch_is_committed_with_its_offset(twin: TwinBroker, comparison: ChangeFinder) -> None:
    """It counts verdicts, dead letters and changes up to just that offset."""
    replay = Replay(twin, comparison)
    assert replay.commit([judged(0), judged(1, Decision.BLOCK)]).outcomes == Outcomes(2, 0, 2, 1, {}, STRICTER)
    assert replay.commit([rejected(2), judged(3)]).outcomes == Outcomes(3, 1, 2, 1, {}, STRICTER)
    assert replay.committed.offset == 4
    assert (len(replay.verdicts), len(replay.changes), len(replay.dead_letters)) == (3, 1, 1)


def test_the_moves_of_a_partition_are_copied_once_for_a_batch_and_not_for_each_record(
    twin: TwinBroker, comparison: ChangeFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be 65,280 of them."""
    added: list[Outcomes] = []
    add = Outcomes.__add__

    def counted(one: Outcomes, other: Outcomes) -> Outcomes:
        added.append(other)
        return add(one, other)

    monkeypatch.setattr(Outcomes, "__add__", counted)
    outcomes = Replay(twin, comparison).commit([judged(0), judged(1, Decision.BLOCK), rejected(2), judged(3)]).outcomes
    assert outcomes == Outcomes(3, 1, 2, 1, {}, STRICTER)
    assert added == [outcomes]


def test_without_a_comparison_verdicts_and_dead_letters_are_counted(twin: TwinBroker) -> None:
    """A replay that tells no changes accounts for its records all the same."""
    replay = Replay(twin, None)
    assert replay.commit([judged(0), rejected(1), judged(2)]).outcomes == Outcomes(2, 1)


def test_what_was_just_encoded_is_never_parsed(
    twin: TwinBroker, comparison: ChangeFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is at hand."""
    monkeypatch.setattr("worker.outcome_encoding.encode_verdict", lambda _: b"no JSON at all")
    replay = Replay(twin, comparison)
    tally = replay.commit([judged(0), judged(1, Decision.BLOCK), rejected(2)])
    assert tally.outcomes == Outcomes(2, 1, 2, 1, {}, STRICTER)
    assert [message.value() for message in replay.verdicts] == [b"no JSON at all"] * 2


def test_a_change_says_of_the_new_verdict_what_the_verdict_says(twin: TwinBroker, comparison: ChangeFinder) -> None:
    """Both are committed in one transaction, and readers join them by the id."""
    replay = Replay(twin, comparison)
    replay.commit([judged(1, Decision.BLOCK)])
    (judged_as,), (changed,) = replay.verdicts, replay.changes
    verdict, change = orjson.loads(judged_as.value() or b""), orjson.loads(changed.value() or b"")
    shared = (
        "chat_id",
        "replay_id",
        "source",
        "taxonomy",
        "verdict_id",
        "banned_to_safe_risk",
        "policy",
        "model",
        "decided_at",
    )
    assert list(change) == ["schema_version", *shared[:4], "old", "new", *shared[4:]]
    assert {name: change[name] for name in shared} == {name: verdict[name] for name in shared}
    assert change["new"] == {"category": verdict["category"], "decision": "block"}
    assert change["old"] == {"category": verdict["category"], "decision": "allow"}
    assert judged_as.key() == changed.key() == b"chat-1"


def test_a_partition_that_was_taken_away_is_not_committed(twin: TwinBroker, comparison: ChangeFinder) -> None:
    """Its next owner has its own tally."""
    replay = Replay(twin, comparison)
    replay.progress.clear()
    with pytest.raises(BatchAborted, match="1 partitions of the batch belong to another process now"):
        replay.publisher.commit([], {PLACE: 1}, replay.client.consumer_group_metadata())
    assert replay.committed.offset == OFFSET_INVALID


def test_a_batch_that_lacks_an_outcome_is_not_committed(twin: TwinBroker) -> None:
    """The tally is checked before the transaction begins."""
    replay = Replay(twin, None)
    for offset in (0, 1):
        replay.progress[PLACE].pass_record(offset, taken=True)
    with pytest.raises(Fatal, match="2 records read, but 1 verdicts"):
        replay.commit([judged(1)])
    assert (replay.verdicts, replay.committed.offset) == ([], OFFSET_INVALID)
