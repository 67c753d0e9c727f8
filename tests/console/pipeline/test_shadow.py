"""A shadow's agreement from both topics, on a real broker."""

from collections.abc import Iterator

import pytest

from console.pipeline import shadow
from console.pipeline.errors import PipelineAway
from console.pipeline.shadow import shadow_document, shadow_report
from console.service import Service
from deploy.local import LocalStack
from model import Bundle
from model.policies.rules import policies_over
from schemas import DEFAULT_POLICY, Decision, Verdict, encode_verdict
from tests.brokers import RealBroker
from tests.console.operations import worker_settings
from tests.console.pages.figures.verdicts import NOON_MS, verdict_of
from worker.settings.worker import WorkerSettings


@pytest.fixture
def bundle(service: Service) -> Bundle:
    """Return the console's bundle."""
    return service.bundle


@pytest.fixture
def kafka(stack: LocalStack) -> Iterator[RealBroker]:
    """Return a broker that runs."""
    broker = RealBroker(stack.bootstrap_servers)
    yield broker
    broker.close()


def settings_of(kafka: RealBroker, name: str) -> WorkerSettings:
    """Return settings with topics of the test's own; they are made."""
    topics = {"verdict_topic": f"{name}-live", "shadow_topic": f"{name}-shadow"}
    kafka.create_topics(dict.fromkeys(topics.values(), 2))
    return worker_settings(kafka.bootstrap_servers, **topics)


def send(kafka: RealBroker, topic: str, verdicts: list[Verdict], *, after_ms: int = 0) -> None:
    """Write verdicts, one a second from noon on."""
    producer = kafka.producer({})
    for i, verdict in enumerate(verdicts):
        producer.produce(topic, encode_verdict(verdict), verdict.chat_id, timestamp=NOON_MS + after_ms + 1_000 * i)
    assert producer.flush(30) == 0


def test_both_topics_are_compared_by_the_record_that_they_answer(
    kafka: RealBroker, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shares have intervals; what moved is named; of the shadow's verdicts the newest alone are read."""
    settings, policies = settings_of(kafka, "agreement"), policies_over(bundle, [DEFAULT_POLICY])
    other = bundle.ref.model_copy(update={"digest": f"sha256:{'c' * 64}"})
    live = [verdict_of(bundle, policies, row, content_fingerprint="0" * 32) for row in range(20)]
    moved = {Decision.ALLOW: Decision.REVIEW, Decision.REVIEW: Decision.BLOCK, Decision.BLOCK: Decision.REVIEW}
    shadows = [one.model_copy(update={"model": other}) for one in live]
    shadows[3] = shadows[3].model_copy(update={"decision": moved[live[3].decision]})
    send(kafka, settings.kafka.verdict_topic, live)
    send(kafka, settings.kafka.shadow_topic, shadows, after_ms=500)
    report = shadow_report(settings, NOON_MS + 60_000)
    assert report is not None
    assert report.since_ms == NOON_MS + 500
    found = shadow_document(report)
    assert (found["n_compared"], found["shadow_digest"], found["live_digests"]) == (20, other.digest, [bundle.digest])
    assert (found["category"]["n"], found["category"]["of"]) == (20, 20)
    assert (found["decision"]["n"], found["decision"]["value"]) == (19, 0.95)
    # One of twenty, as scipy.stats.binomtest has it.
    assert found["decision"]["interval"] == pytest.approx((0.751270, 0.998735), abs=1e-5)
    assert found["moves"] == [{"old": live[3].decision.value, "new": moved[live[3].decision].value, "n": 1}]
    monkeypatch.setattr(shadow, "MOST_SHADOWS", 6)
    newest = shadow_report(settings, NOON_MS + 60_000)
    assert newest is not None
    assert newest.agreement.outcomes.n_compared == 6


def test_without_a_shadow_there_is_no_report(kafka: RealBroker) -> None:
    """No topic, or one in which nothing stands."""
    settings = settings_of(kafka, "no-shadow")
    assert shadow_report(settings, NOON_MS) is None
    missing = worker_settings(kafka.bootstrap_servers, verdict_topic="no-shadow-live", shadow_topic="no-such-shadow")
    assert shadow_report(missing, NOON_MS) is None


def test_brokers_that_do_not_answer_are_the_pipelines_fault() -> None:
    """The page says so."""
    with pytest.raises(PipelineAway, match="verdicts-shadow"):
        shadow_report(worker_settings(request_timeout_s="0.5"), NOON_MS)
