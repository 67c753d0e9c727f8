"""A person is asked once about each verdict that some policy has doubts about, and about nothing else."""

from datetime import UTC, datetime
from typing import Any

import pytest

from model.evidence.rule import Unevaluated
from schemas import Decision, Verdict, decode_review
from tests.brokers import Broker, read, unique
from tests.worker.loop_rig import Rig
from tests.worker.payloads import builder, classification, event, record
from worker.errors import BatchAborted
from worker.predictor import Predictor
from worker.process.metrics import Metrics
from worker.record import Row
from worker.reviews.assembly import review_sources, review_topics
from worker.reviews.source import ReviewSource, reviews
from worker.settings.kafka import KafkaSettings
from worker.verdict_builder import VerdictBuilder

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def row(offset: int, *, decision: Decision = Decision.REVIEW, of: VerdictBuilder | None = None, **fields: Any) -> Row:
    """Return a decided row that was classified."""
    one = event(offset, **fields)
    reading = classification(decision=decision)
    return Row(one.record, one, reading=reading, verdict=(of or builder()).fresh(one, reading, NOW))


def hit(offset: int, cached: Verdict, *, changes: dict[str, Any] | None = None) -> Row:
    """Return a decided row that the cache answered; `changes` are laid over its verdict."""
    one = event(offset, chat_id=cached.chat_id, messages=[{"role": "user", "content": "text 1"}])
    said = cached.model_copy(update={"source": one.record.source, "cache_hit": True, **(changes or {})})
    return Row(one.record, one, reading=cached, verdict=said)


def asked(*rows: Row) -> list[int]:
    """Return the offsets of the events on which a person is asked."""
    return [review.source.offset for _, review in reviews(rows)]


def cached(**changes: Any) -> Verdict:
    """Return a verdict that asks, as the cache holds it, on chat-1 at offset 1."""
    verdict = row(1).verdict
    assert verdict is not None
    return verdict.model_copy(update=changes)


def test_each_verdict_that_asks_is_written_once_in_input_order() -> None:
    """The same text twice in a batch has one verdict_id, and is one person's one task."""
    again = row(4, chat_id="chat-1", messages=[{"role": "user", "content": "text 1"}])
    assert asked(row(1), row(2, decision=Decision.ALLOW), row(3, decision=Decision.BLOCK), again, row(5)) == [1, 5]
    assert asked(Row(record(6))) == []


def test_an_unchanged_hit_asks_for_nobody_and_a_changed_one_does() -> None:
    """Other policies, a hold or a person's word make another verdict_id."""
    assert asked(hit(9, cached())) == []
    assert asked(hit(9, cached(), changes={"verdict_id": "ab" * 16})) == [9]


def test_a_hit_on_what_an_attempt_at_the_same_record_left_behind_asks() -> None:
    """The cache is written before the transaction: an aborted batch finds its own verdict there."""
    assert asked(hit(1, cached())) == [1]


def test_a_hit_on_what_a_replay_left_behind_asks() -> None:
    """Replays ask for nobody, so nobody was asked."""
    assert asked(hit(9, cached(replay_id="r-1"), changes={"replay_id": None})) == [9]


def test_neither_replays_nor_uncalibrated_bundles_ask() -> None:
    """The first judge old events again, the second say `review` of every chat."""
    assert asked(row(1, of=builder(replay_id="r-1"))) == []
    uncalibrated = row(1)
    assert uncalibrated.verdict is not None
    uncalibrated.verdict = uncalibrated.verdict.model_copy(update={"unevaluated": (Unevaluated.UNCALIBRATED.value,)})
    assert asked(uncalibrated) == []


def test_without_a_topic_nothing_is_written_and_no_right_is_needed() -> None:
    """New topics are opt-in."""
    off = KafkaSettings(bootstrap_servers="localhost:1")
    on = KafkaSettings(bootstrap_servers="localhost:1", reviews_topic="verdict-reviews")
    assert (review_sources(off, Metrics()), review_topics(off)) == ([], {})
    assert list(review_topics(on)) == ["verdict-reviews"]
    assert len(review_sources(on, Metrics())) == 1


def _rig(broker: Broker, *batches: Any, **options: Any) -> tuple[Rig, str, Metrics]:
    """Return a loop of which every verdict asks for a person, its topic of reviews and where they are counted."""
    topic, metrics = unique("verdict-reviews"), Metrics()
    broker.create_topics({topic: 1})
    rig = Rig(broker, *batches, sources=[ReviewSource(topic, metrics)], **options)
    rig.predictor = Predictor(_Doubtful(rig.model), builder())  # type: ignore[arg-type]
    return rig, topic, metrics


class _Doubtful:
    """A classifier of which every answer asks for a person."""

    is_worn_out = False

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def classify(self, conversations: Any) -> Any:
        """Answer."""
        results, stats = self._inner.classify(conversations)
        return [classification(decision=Decision.REVIEW) for _ in results], stats


def _written(broker: Broker, topic: str) -> list[tuple[int, bytes | None]]:
    return [(decode_review(m.value() or b"").source.offset, m.key()) for m in read(broker, topic)]


@pytest.mark.parametrize("in_doubt", [False, True])
def test_a_batch_that_was_aborted_after_the_cache_was_written_asks_once(broker: Broker, *, in_doubt: bool) -> None:
    """Else a review would be lost with each broker that goes away, and nobody would miss it."""
    rig, topic, _ = _rig(broker, [record(0), record(1)], failures=[BatchAborted("no", in_doubt=in_doubt)])
    rig.loop.run()
    assert rig.consumer.n_rewinds == 1
    assert [verdict.cache_hit for verdict in rig.verdicts] == [True, True]
    assert _written(broker, topic) == [(0, b"chat-0"), (1, b"chat-1")]


def test_reviews_lie_beside_their_verdicts_and_are_counted_when_they_are_committed(broker: Broker) -> None:
    """The same conversation in the next batch, which may be looked up too early for a hit, asks for nobody again."""
    same: dict[str, Any] = {"chat_id": "chat-0", "messages": [{"role": "user", "content": "text 0"}]}
    rig, topic, metrics = _rig(broker, [record(0), record(1)], [record(2, **same)])
    rig.loop.run()
    assert [verdict.source.offset for verdict in rig.verdicts] == [0, 1, 2]
    assert _written(broker, topic) == [(0, b"chat-0"), (1, b"chat-1")]
    counted = metrics.registry.get_sample_value("moderation_reviews_total", {"category": "F"})
    assert counted == pytest.approx(2)


def test_what_was_asked_is_remembered_only_once_it_is_committed_and_not_without_end() -> None:
    """An aborted batch comes again; and a worker runs for months."""
    source = ReviewSource("verdict-reviews", Metrics())
    first = [row(0)]
    assert len(list(source.messages(first))) == 1
    assert len(list(source.messages(first))) == 1, "the first attempt was never committed"
    source.committed(first)
    assert list(source.messages(first)) == []
    source.committed(first)
    for offset in range(1, 10_001, 1_000):
        others = [row(o) for o in range(offset, offset + 1_000)]
        source.messages(others)
        source.committed(others)
    assert len(list(source.messages(first))) == 1
