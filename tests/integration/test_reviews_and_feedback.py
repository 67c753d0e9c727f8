"""Reviews beside their verdicts on a real Kafka, through a kill; and reports that come back as rows to learn from."""

import itertools
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from confluent_kafka import Producer

from deploy.local import LocalStack
from schemas import Decision, Review, Verdict, decode_review, encode_feedback, feedback_on
from testkit.reader import read_all
from testkit.records import Place
from tests.brokers import RealBroker
from tests.integration.conftest import Settings, StartWorker
from tests.integration.ledger import READER, LiveLedger
from tests.integration.workers import run_command
from worker.process.lifecycle import EXIT_FATAL, EXIT_NOT_CACHED

pytestmark = pytest.mark.services

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture
def named(stack: LocalStack, settings: Settings) -> Settings:
    """Return the test's settings with topics of reviews and feedback, which are there."""
    mark = uuid4().hex[:8]
    found = {
        "MODERATION_KAFKA__REVIEWS_TOPIC": f"verdict-reviews-{mark}",
        "MODERATION_KAFKA__FEEDBACK_TOPIC": f"verdict-feedback-{mark}",
    }
    stack.kafka.create_topics(dict.fromkeys(found.values(), 2))
    settings.update(found)
    return settings


def reviews_on(stack: LocalStack, named: Settings) -> list[Review]:
    """Return the committed reviews."""
    topic = named["MODERATION_KAFKA__REVIEWS_TOPIC"]
    return [decode_review(one.value or b"") for one in read_all(stack.bootstrap_servers, [topic], properties=READER)]


def asking(ledger: LiveLedger) -> Counter[str]:
    """Return the ids of the verdicts that say `review`, with how many verdicts have each."""
    return Counter(one.verdict_id for _, one in ledger.all_verdicts() if one.decision is Decision.REVIEW)


def test_each_verdict_that_asks_has_one_review_through_a_kill_and_repeats(
    ledger: LiveLedger,
    stack: LocalStack,
    named: Settings,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """I1 for reviews: what a killed worker left in Redis is no reason to ask nobody, and a repeat is none to ask."""
    events = sample_chats[:240]
    worker = start_worker(BATCH__MAX_RECORDS="8")
    ledger.send(events)
    ledger.wait_seen(40)
    worker.kill()
    worker = start_worker()
    ledger.wait_complete()
    asked = asking(ledger)
    assert 0 < len(asked) < len(events), "the shipped policy has doubts about some chats, and not about all"
    found = reviews_on(stack, named)
    assert Counter(one.verdict_id for one in found) == dict.fromkeys(asked, 1)
    ledger.send(events)
    ledger.wait_complete()
    assert asking(ledger) == {one: 2 * n for one, n in asked.items()}
    assert len(reviews_on(stack, named)) == len(found), "an unchanged hit asks for nobody"
    ledger.assert_exactly_once()
    by_id = {one.verdict_id: one for one in ledger.verdicts().values()}
    for review in found:
        verdict = by_id[review.verdict_id]
        assert (review.chat_id, review.fingerprint) == (verdict.chat_id, verdict.content_fingerprint)
        assert [one.name for one in review.policies] == ["default"]
    assert not any(b"messages" in one.model_dump_json().encode() for one in found)
    assert worker.stop() == 0


def test_a_topic_of_reviews_that_is_missing_ends_the_start(settings: Settings) -> None:
    """No batch could be committed without it, and a typo must not show with the first one only."""
    done = run_command("run", settings=settings | {"MODERATION_KAFKA__REVIEWS_TOPIC": "verdict-reviews-nowhere"})
    assert done.returncode == EXIT_FATAL
    assert "verdict-reviews-nowhere" in done.stdout + done.stderr


def test_reports_are_joined_with_their_events_and_what_retention_took_is_counted(
    *,
    ledger: LiveLedger,
    stack: LocalStack,
    named: Settings,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    """From a verdict in the cache to a labelled chat, by the commands that a person uses."""
    worker = start_worker()
    ledger.send(sample_chats[:40])
    ledger.wait_complete()
    assert worker.stop() == 0
    verdicts = ledger.verdicts()
    kept, gone = _of_two_partitions(verdicts)
    topic = named["MODERATION_KAFKA__FEEDBACK_TOPIC"]
    arguments = ("feedback", "send", "--chat-id", kept.chat_id, "--category", "D", "--reporter", "ann")
    sent = run_command(*arguments, "--json", settings=named)
    assert sent.returncode == 0, sent.stderr
    assert orjson.loads(sent.stdout)["verdict_id"] == kept.verdict_id
    unknown = run_command(*arguments, "--verdict-id", "ab" * 16, settings=named)
    assert unknown.returncode == EXIT_NOT_CACHED
    more = [
        feedback_on(kept, reporter="bob", reported_at=NOW, category="D"),
        feedback_on(gone, reporter="bob", reported_at=NOW, category="D"),
        feedback_on(kept, reporter="cho", reported_at=NOW, category="D").model_copy(update={"fingerprint": None}),
        feedback_on(kept, reporter="dan", reported_at=NOW, category="D").model_copy(update={"fingerprint": "ab" * 16}),
    ]
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers, "log_level": 0})
    for one in more:
        producer.produce(topic, encode_feedback(one), key=one.verdict_id)
    assert producer.flush(30) == 0
    broker = RealBroker(stack.bootstrap_servers)
    broker.delete_records(ledger.topics.events, gone.source.partition, before=gone.source.offset + 1)
    broker.close()

    out = tmp_path / "rows.jsonl"
    done = run_command(
        *("feedback", "--topic", topic, "--events-topic", ledger.topics.events, "--out", str(out)),
        *("--verdict-topic", ledger.topics.verdicts, "--bootstrap-servers", stack.bootstrap_servers),
        settings={},
        module="training_pipeline.data",
    )
    assert done.returncode == 0, done.stderr
    (row,) = (orjson.loads(line) for line in out.read_bytes().splitlines())
    assert (row["chat_id"], row["category"], row["agreed"]) == (kept.chat_id, "D", True)
    assert sorted(row["annotations"]) == ["ann", "bob", "cho"]
    assert row["messages"][-1]["content"] == _text_of(sample_chats, kept.chat_id)
    summary = orjson.loads(done.stdout.splitlines()[-1])
    assert summary["n_rejected_by_reason"] == {"event_gone": 1, "other_text": 1}


def _of_two_partitions(verdicts: dict[Place, Verdict]) -> tuple[Verdict, Verdict]:
    """Return two verdicts whose events lie in different partitions."""
    found = sorted(verdicts.values(), key=lambda one: (one.source.partition, one.source.offset))
    first = [next(group) for _, group in itertools.groupby(found, key=lambda one: one.source.partition)]
    return first[0], first[1]


def _text_of(chats: list[dict[str, Any]], chat_id: str) -> str:
    (chat,) = (one for one in chats if one["chat_id"] == chat_id)
    return str(chat["messages"][-1]["content"])
