"""Messages that a topic will never take: the worker ends with the topic and the remedy, and repeats nothing."""

from typing import Any

import pytest

from testkit.records import InputRecord
from testkit.topics import Topics
from tests.brokers import configure_topic
from tests.integration.conftest import StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events
from worker.kafka.client import open_admin_client
from worker.settings.kafka import KafkaSettings

pytestmark = pytest.mark.services

KEYLESS = InputRecord(None, b"{")


def configure(topics: Topics, topic: str, **settings: str) -> None:
    """Change a topic's settings; `a_b` in a keyword stands for `a.b`."""
    admin = open_admin_client(KafkaSettings(bootstrap_servers=topics.bootstrap_servers))
    configure_topic(admin, topic, {name.replace("_", "."): value for name, value in settings.items()})


def test_a_compacted_dead_letter_topic_is_refused_at_start(topics: Topics, start_worker: StartWorker) -> None:
    """It takes no dead letter without a key; the batch around the first one would be aborted for ever."""
    configure(topics, topics.dead_letters, cleanup_policy="compact")
    worker = start_worker()
    assert worker.wait_exit() == 3
    (fatal,) = worker.events("worker_fatal")
    assert topics.dead_letters in fatal["error"]
    assert "cleanup.policy=delete" in fatal["error"]


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_dead_letter_topic_that_is_compacted_later_ends_the_worker_with_topic_and_remedy(
    topics: Topics, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]], delivery: str
) -> None:
    """Probes said ok meanwhile; at least once wrote 18 copies of 2 verdicts. Repaired, all of it is there."""
    worker = start_worker(KAFKA__DELIVERY=delivery)
    ledger.send(short_events(sample_chats, 5, n_chats=5))
    ledger.wait_complete()
    configure(topics, topics.dead_letters, cleanup_policy="compact")
    ledger.send_raw([KEYLESS])
    assert worker.wait_exit() == 3
    (fatal,) = worker.events("worker_fatal")
    assert "INVALID_RECORD" in fatal["error"]
    assert topics.dead_letters in fatal["error"]
    assert "cleanup.policy=delete" in fatal["error"]
    assert worker.events("batch_aborted") == []
    configure(topics, topics.dead_letters, cleanup_policy="delete")
    start_worker(KAFKA__DELIVERY=delivery)
    ledger.wait_complete()
    ledger.assert_exactly_once()


def test_a_verdict_over_a_limit_that_was_lowered_ends_the_worker_and_the_next_one_keeps_to_the_limit(
    topics: Topics, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F21: the limit is read at the start; what is above it then is a dead letter."""
    worker = start_worker()
    ledger.send(short_events(sample_chats, 5, n_chats=5))
    ledger.wait_complete()
    configure(topics, topics.verdicts, max_message_bytes="300")
    ledger.send(short_events(sample_chats, 5, n_chats=5))
    assert worker.wait_exit() == 3
    error = worker.events("worker_fatal")[0]["error"]
    assert "MSG_SIZE_TOO_LARGE" in error
    assert topics.verdicts in error
    start_worker()
    ledger.wait_complete()
    ledger.assert_exactly_once()
    assert [letter.headers["reason"] for letter in ledger.dead_letters().values()] == ["verdict_too_large"] * 5


def test_many_small_verdicts_fit_a_small_topic_although_they_would_not_fit_one_batch(
    topics: Topics, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """A topic's limit holds for what travels together, and a client fills what travels together up to 1 MB."""
    configure(topics, topics.verdicts, max_message_bytes="4000")
    ledger.send(short_events(sample_chats, 300, n_chats=100))
    worker = start_worker(BATCH__MAX_RECORDS="300", KAFKA__COMPRESSION="none")
    ledger.wait_complete()
    assert worker.stop() == 0
    ledger.assert_exactly_once()
    assert max(batch["n_records"] for batch in worker.events("batch_done")) > 10
    assert worker.events("batch_aborted") == []
