"""A replay's transaction: verdicts, changes, and a tally beside each offset, from the rows that the loop settled."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from schemas import Decision, ModelRef, PolicyRef, RejectionReason, encode_verdict
from tests.worker.kafka.fake_kafka import MEMBER
from tests.worker.payloads import TOPICS, classification, event, record
from worker.errors import BatchAborted, Fatal
from worker.kafka.partition_range import PartitionRange
from worker.moves.counts import Outcomes
from worker.outcome_encoding import OutgoingMessage, next_offsets, settle, to_messages
from worker.record import Rejection, Row
from worker.replay.report.tally import Tally
from worker.replay.run.old_verdicts import OldVerdicts
from worker.replay.run.progress import PartitionProgress, Progress, mark_batch
from worker.replay.run.publisher import Comparison, ReplayPublisher
from worker.verdict_builder import VerdictBuilder

PLACE = ("chat-events", 0)
SPAN = PartitionRange(topic=PLACE[0], partition=PLACE[1], start=0, end=10)
MODEL, POLICY = ModelRef(name="m", version="1", digest=f"sha256:{'ab' * 32}"), PolicyRef(name="p", version="1")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Inner:
    """Keeps what was committed."""

    messages: list[OutgoingMessage] = field(default_factory=list)
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    notes: dict[tuple[str, int], str] = field(default_factory=dict)

    def commit(self, messages: list[OutgoingMessage], offsets: Any, member: object, notes: Any) -> None:
        """Commit all of it."""
        assert member is MEMBER
        self.messages += messages
        self.offsets |= offsets
        self.notes |= notes


class Replay:
    """A replay of one partition over a publisher that takes everything."""

    def __init__(self, comparison: Comparison | None) -> None:
        self.inner = Inner()
        self.progress: Progress = {PLACE: PartitionProgress.resumed(SPAN, 0, Tally())}
        self.publisher = ReplayPublisher(self.inner, self.progress, comparison)  # type: ignore[arg-type]

    def commit(self, rows: list[Row]) -> Tally:
        """Read, settle and commit these rows; return the tally that was committed."""
        records = [row.record for row in rows]
        for one in records:
            self.progress[PLACE].pass_record(one.offset, taken=True)
        mark_batch(self.progress, records)
        settle(rows, TOPICS)
        self.publisher.commit(to_messages(rows, TOPICS), next_offsets(records), MEMBER)
        return Tally.from_note(self.inner.notes[PLACE])


def judged(offset: int, decision: Decision = Decision.ALLOW, *, replay_id: str | None = "r1") -> Row:
    """Return the row of a record that this replay has judged."""
    builder = VerdictBuilder(MODEL, POLICY, replay_id)
    return Row(record(offset), verdict=builder.fresh(event(offset), classification(decision=decision), NOW))


def rejected(offset: int) -> Row:
    """Return the row of a record that ends as a dead letter."""
    return Row(record(offset), rejection=Rejection(RejectionReason.SCHEMA_ERROR, "found x; expected y"))


@pytest.fixture
def comparison() -> Comparison:
    """Return a comparison with `allow` on the records 0 to 2."""
    old = OldVerdicts([SPAN], "r1")
    for offset in range(3):
        verdict = judged(offset, replay_id=None).verdict
        assert verdict is not None
        old.add(encode_verdict(verdict))
    return Comparison(old, "changes")


def test_the_tally_of_a_batch_is_committed_with_its_offset(comparison: Comparison) -> None:
    """It counts verdicts, dead letters and changes up to just that offset."""
    replay = Replay(comparison)
    assert replay.commit([judged(0), judged(1, Decision.BLOCK)]).outcomes == Outcomes(2, 0, 2, 1, {}, {"ab": 1})
    assert replay.commit([rejected(2), judged(3)]).outcomes == Outcomes(3, 1, 2, 1, {}, {"ab": 1})
    assert replay.inner.offsets == {PLACE: 4}
    assert [message.topic for message in replay.inner.messages] == [
        "verdicts", "verdicts", "changes", "chat-events.dlq", "verdicts"
    ]  # fmt: skip


def test_without_a_comparison_verdicts_and_dead_letters_are_counted() -> None:
    """A replay that tells no changes accounts for its records all the same."""
    replay = Replay(None)
    assert replay.commit([judged(0), rejected(1), judged(2)]).outcomes == Outcomes(2, 1)


def test_what_was_just_encoded_is_never_parsed(comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict is at hand."""
    monkeypatch.setattr("worker.outcome_encoding.encode_verdict", lambda _: b"no JSON at all")
    replay = Replay(comparison)
    tally = replay.commit([judged(0), judged(1, Decision.BLOCK), rejected(2)])
    assert tally.outcomes == Outcomes(2, 1, 2, 1, {}, {"ab": 1})
    assert [message.value for message in replay.inner.messages[:2]] == [b"no JSON at all"] * 2


def test_a_change_says_of_the_new_verdict_what_the_verdict_says(comparison: Comparison) -> None:
    """Both are committed in one transaction, and readers join them by the id."""
    replay = Replay(comparison)
    replay.commit([judged(1, Decision.BLOCK)])
    verdict, change = (orjson.loads(message.value or b"") for message in replay.inner.messages)
    shared = ("chat_id", "replay_id", "source", "verdict_id", "banned_to_safe_risk", "policy", "model", "decided_at")
    assert list(change) == ["schema_version", *shared[:3], "old", "new", *shared[3:]]
    assert {name: change[name] for name in shared} == {name: verdict[name] for name in shared}
    assert change["new"] == {"category": verdict["category"], "decision": "block"}
    assert change["old"] == {"category": verdict["category"], "decision": "allow"}
    assert replay.inner.messages[0].key == replay.inner.messages[1].key == b"chat-1"


def test_a_partition_that_was_taken_away_is_not_committed(comparison: Comparison) -> None:
    """Its next owner has its own tally."""
    replay = Replay(comparison)
    replay.progress.clear()
    with pytest.raises(BatchAborted, match="1 partitions of the batch belong to another process now"):
        replay.publisher.commit([], {PLACE: 1}, MEMBER)
    assert replay.inner.offsets == {}


def test_a_batch_that_lacks_an_outcome_is_not_committed() -> None:
    """The tally is checked before the transaction begins."""
    replay = Replay(None)
    for offset in (0, 1):
        replay.progress[PLACE].pass_record(offset, taken=True)
    with pytest.raises(Fatal, match="2 records read, but 1 verdicts"):
        replay.commit([judged(1)])
    assert replay.inner.messages == []
