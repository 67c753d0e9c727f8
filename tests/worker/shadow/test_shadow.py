"""The shadow judges when it has time, loses what it has none for, counts it all, and harms nobody."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from confluent_kafka import KafkaError
from prometheus_client import CollectorRegistry

from model import Classification, ClassifyStats, RowFailed
from model.decision import Judgement
from schemas import CHAT_13, DecidedBy, Decision, ModelRef, RejectionReason, TaxonomyRef, Turn, Verdict, decode_verdict
from tests.broker_twin.broker import TwinBroker
from tests.brokers import read
from tests.tiny_taxonomies import PETS
from tests.worker.kafka.faults import FaultyProducer
from tests.worker.loop_rig import Rig
from tests.worker.payloads import builder, classification, event, kafka_settings, record
from worker.errors import BatchAborted
from worker.kafka.best_effort import BestEffortProducer
from worker.moves.sample import is_sampled
from worker.predictor import Predictor
from worker.process.metrics import Metrics
from worker.record import Event, Rejection, Row
from worker.settings.model import ModelSettings
from worker.settings.shadow import ShadowSettings
from worker.settings.worker import WorkerSettings
from worker.shadow.assembly import shadow_model
from worker.shadow.publisher import ShadowPublisher
from worker.shadow.scorer import Shadow

TOPIC = "verdicts-shadow"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIVE = builder()
SHADOW = builder(model=ModelRef(name="shadow", version="2", digest=f"sha256:{'cd' * 32}"))


def test_a_shadow_has_the_live_models_settings_but_for_its_files(tmp_path: Path) -> None:
    """The key too: a bundle that is only watched runs in the same process."""
    live = ModelSettings(public_key_file=tmp_path / "key.pem", policy_path=tmp_path / "policy.toml", timeout_s=2)
    settings = WorkerSettings(kafka=kafka_settings(), model=live)
    assert shadow_model(settings) is None
    settings = settings.model_copy(update={"shadow": ShadowSettings(model_path=tmp_path / "bundle")})
    assert shadow_model(settings) == live.model_copy(update={"path": tmp_path / "bundle", "n_threads": 1})


class Model:
    """A shadow model: answers category J and review; breaks where it is told to."""

    def __init__(self) -> None:
        self.asked: list[Sequence[Turn]] = []
        self.breaks = False
        self.is_worn_out = False
        self.answer = classification("J", Decision.REVIEW)

    def classify(
        self, conversations: Sequence[Sequence[Turn]]
    ) -> tuple[list[Classification | RowFailed], ClassifyStats]:
        """Answer."""
        if self.breaks:
            raise MemoryError
        self.asked.extend(conversations)
        failed = RowFailed("NaN")
        return [failed if "poison" in turns[0].text else self.answer for turns in conversations], ClassifyStats()


class ShadowRig:
    """A shadow without its thread."""

    def __init__(self, **settings: Any) -> None:
        self.metrics, self.model, self._broker = Metrics(CollectorRegistry()), Model(), TwinBroker()
        self._broker.create_topics({TOPIC: 1})
        self.producer = FaultyProducer(self._broker.producer({}), {"produce": []})
        self.predictor: Predictor | None = Predictor(self.model, SHADOW)  # type: ignore[arg-type]
        producer = BestEffortProducer(self.producer)  # type: ignore[arg-type]
        publisher = ShadowPublisher(producer, TOPIC, self.metrics)
        self.shadow = Shadow(
            ShadowSettings(**settings), predictor=lambda: self.predictor, publisher=publisher, metrics=self.metrics
        )

    def offer(self, events: Sequence[Event]) -> None:
        """Say that these were classified and committed."""
        self.shadow.on_committed(
            [Row(one.record, one, verdict=LIVE.fresh(one, classification("F"), NOW)) for one in events]
        )

    def work(self) -> None:
        """Classify all that waits."""
        while self.shadow._queue:
            self.shadow._classify_all(self.shadow._next(), self.shadow._predictor())
            self.shadow._publisher.poll()

    @property
    def published(self) -> list[Verdict]:
        """The verdicts on the shadow's topic, which are keyed by chat."""
        messages = read(self._broker, TOPIC)
        verdicts = [decode_verdict(message.value() or b"") for message in messages]
        assert [message.key() for message in messages] == [verdict.chat_id.encode() for verdict in verdicts]
        return verdicts

    def counts(self) -> dict[str, float]:
        """Return what became of the chats."""
        return {
            sample.labels.get("reason", "published"): sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name in {"moderation_shadow_dropped_total", "moderation_shadow_verdicts_total"} and sample.value
        }


@pytest.mark.parametrize("name", [PETS.name, CHAT_13.name])
def test_categories_of_another_taxonomy_are_not_compared(name: str) -> None:
    """Decisions are: `allow` is the same under both. A name that was given twice does not make it one taxonomy."""
    rig = ShadowRig()
    said = {"cat": 0.9, "dog": 0.1}
    rig.model.answer = Classification("cat", said, Judgement(0.0, 1.0, Decision.ALLOW, DecidedBy.NOTHING_BANNED), said)
    rig.predictor = Predictor(rig.model, builder(categories=PETS.model_copy(update={"name": name})))  # type: ignore[arg-type]
    rig.offer([event(0)])
    rig.work()
    assert rig.published[0].taxonomy == TaxonomyRef(name=name, version=PETS.version)
    value = rig.metrics.registry.get_sample_value
    assert value("moderation_shadow_compared_total", {"live_decision": "allow", "shadow_decision": "allow"}) == 1
    assert value("moderation_shadow_categories_total", {"agreement": "other_taxonomy"}) == 1


def test_what_the_live_model_classified_is_judged_published_and_compared() -> None:
    """Under the shadow's name, on the same record, on the shadow's own topic."""
    rig = ShadowRig()
    rig.offer([event(0), event(1)])
    rig.work()
    assert len(rig.published) == 2
    for offset, verdict in enumerate(rig.published):
        assert (verdict.model, verdict.source.offset, verdict.cache_hit) == (SHADOW.model, offset, False)
        assert (verdict.category.code, verdict.decision) == ("J", Decision.REVIEW)
    value = rig.metrics.registry.get_sample_value
    moved = {"live_decision": "allow", "shadow_decision": "review"}
    assert value("moderation_shadow_compared_total", moved) == 2
    assert value("moderation_shadow_categories_total", {"agreement": "different"}) == 2
    assert rig.counts() == {"published": 2}


def test_the_loop_offers_what_was_classified_and_committed_and_nothing_else(twin: TwinBroker) -> None:
    """No cache hit, no dead letter, and nothing of a batch that was aborted."""
    shadow, shadowed = ShadowRig(), list[tuple[list[int], list[int]]]()

    def on_committed(rows: Sequence[Row]) -> None:
        offered = len(shadow.shadow._queue)
        shadow.shadow.on_committed(rows)
        taken = [waiting.event.record.offset for waiting in [*shadow.shadow._queue][offered:]]
        shadowed.append((taken, [row.record.offset for row in rows]))

    same: dict[str, Any] = {"chat_id": "c", "messages": [{"role": "user", "content": "hi"}]}
    batches = [[record(0, **same)], [record(1, **same), record(2), record(3, value=b"{")]]
    rig = Rig(twin, *batches, failures=[BatchAborted("no")], on_committed=on_committed, in_background=False)
    rig.loop.run()
    # The first batch was cached before its commit failed, so that it is a hit when it comes again.
    assert shadowed == [([], [0]), ([2], [1, 2, 3])]


def test_a_dead_letter_of_the_live_model_is_not_offered() -> None:
    """There is no verdict to compare with."""
    rig = ShadowRig()
    letter = Rejection(RejectionReason.CLASSIFICATION_FAILED, "NaN")
    rig.shadow.on_committed([Row(event(0).record, event(0), rejection=letter)])
    rig.work()
    assert rig.published == []


@pytest.mark.parametrize("limit", [{"queue_records": 3}, {"queue_max_bytes": 1_000_000}])
def test_a_full_queue_drops_and_counts(limit: dict[str, int]) -> None:
    """The loop never waits, and memory has a limit."""
    rig = ShadowRig(**limit)
    rig.offer([event(offset, padding="x" * 300_000) for offset in range(5)])
    assert rig.counts() == {"queue_full": 2}
    rig.work()
    assert rig.counts() == {"queue_full": 2, "published": 3}
    rig.offer([event(5)])
    rig.work()
    assert rig.counts() == {"queue_full": 2, "published": 4}


def test_a_share_is_judged_and_it_is_the_same_share_everywhere() -> None:
    """Chosen by content: the report can tell what was never asked for from what is missing."""
    rig = ShadowRig(sample_ratio=0.25)
    events = [event(offset) for offset in range(400)]
    rig.offer(events)
    rig.work()
    judged = [verdict.source.offset for verdict in rig.published]
    assert judged == [one.record.offset for one in events if is_sampled(one.fingerprint, 0.25)]
    assert 60 < len(judged) < 140
    assert all(is_sampled(one.fingerprint, 1.0) for one in events)


def test_a_shadow_without_a_bundle_counts_what_it_cannot_judge() -> None:
    """It was refused, or is still being loaded."""
    rig = ShadowRig()
    rig.predictor = None
    rig.offer([event(0), event(1)])
    rig.work()
    assert rig.counts() == {"no_bundle": 2}


def test_a_shadow_that_breaks_loses_only_its_own_verdicts() -> None:
    """A row, or a whole call; told once."""
    rig = ShadowRig()
    poison = event(1, messages=[{"role": "user", "content": "poison"}])
    with structlog.testing.capture_logs() as lines:
        rig.offer([event(0), poison])
        rig.work()
        rig.model.breaks = True
        for offset in (2, 3):
            rig.offer([event(offset)])
            rig.work()
        rig.model.breaks = False
        rig.offer([event(4)])
        rig.work()
        # Its inferences never end, and no more are begun.
        rig.model.is_worn_out = True
        rig.offer([event(5)])
        rig.work()
    told = [line["error"] for line in lines if line["event"] == "shadow_failed"]
    assert told == ["NaN", "MemoryError", "inferences did not end"]
    assert rig.counts() == {"classification_failed": 4, "published": 2}
    assert len(rig.model.asked) == 3


def test_what_kafka_does_not_take_is_counted_and_told_once() -> None:
    """A full client, and a topic that is not there."""
    rig = ShadowRig()
    rig.producer.failures["produce"] += [None, BufferError(), BufferError()]
    rig.producer.delivery_error = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    with structlog.testing.capture_logs() as lines:
        rig.offer([event(0), event(1), event(2)])
        rig.work()
    failures = [line["error"].split(":")[0] for line in lines if line["event"] == "shadow_not_published"]
    assert failures == ["the producer's queue is full", "UNKNOWN_TOPIC_OR_PART"]
    assert rig.counts() == {"not_published": 3}


def test_the_thread_judges_and_ends_with_what_waits_counted() -> None:
    """Nothing is lost without a number."""
    rig = ShadowRig()
    rig.shadow.start()
    rig.offer([event(offset) for offset in range(50)])
    rig.shadow.close()
    assert not rig.shadow._thread.is_alive()
    assert sum(rig.counts().values()) == 50
