"""Lag from the assignment on, and records that are there and cannot be read; over a broker in memory."""

from collections.abc import Callable, Collection
from typing import Any

import pytest
import structlog
from confluent_kafka import KafkaError, Message, TopicPartition

from tests.broker_twin.broker import TwinBroker
from tests.broker_twin.clients import transactional, write, write_in_transaction
from tests.worker.kafka.faults import FaultyClient
from worker.kafka.config import consumer_config
from worker.kafka.consumer import RecordConsumer
from worker.kafka.partition_ends import Answer, Ends
from worker.kafka.partition_range import Partition
from worker.kafka.reachability import Reachability
from worker.kafka.unread import Unread
from worker.process.metrics import Metrics
from worker.settings.kafka import KafkaSettings

TOPIC = "chat-events"
AFTER_S = 30.0


class Client(FaultyClient):
    """A client that brings what a test says in place of what is there."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.in_place: list[Message | None] = []

    def poll(self, timeout_s: float) -> Message | None:
        """Return the next of those, else what is there."""
        if self.in_place:
            self._client.poll(0)
            return self.in_place.pop(0)
        found: Message | None = self._client.poll(timeout_s)
        return found


class Rig:
    """A consumer over a topic of two partitions, on a clock of its own."""

    def __init__(self, twin: TwinBroker) -> None:
        self.now_s = 1_000.0
        self.broker, self.metrics, self.n_asked = twin, Metrics(), 0
        twin.create_topics({TOPIC: 2})
        settings = KafkaSettings(bootstrap_servers="twin:1", input_topic=TOPIC)
        self.client = Client(twin.consumer(consumer_config(settings) | {"enable.partition.eof": True}))
        self.consumer = RecordConsumer(
            self.client,  # type: ignore[arg-type]
            settings,
            self.metrics,
            Reachability(exit_after_s=60.0, metrics=self.metrics, probe=lambda: None),
            settle=lambda: None,
            unread=Unread(self.metrics, unreadable_after_s=AFTER_S, ask=self._ask, clock=lambda: self.now_s),
        )
        while not self.consumer.joined:
            self.poll()

    def _ask(self, places: Collection[Partition]) -> Answer:
        self.n_asked += 1

        def answer() -> dict[Partition, Ends]:
            logs = {place: self.broker.log(place) for place in places}
            return {place: Ends(log.high, log.stable) for place, log in logs.items() if log is not None}

        return answer

    def poll(self) -> int:
        """Poll once; return how many records came."""
        return len(self.consumer.poll_batch(max_records=100, max_bytes=1_000_000))

    def after(self, seconds: float, meanwhile: Callable[[], object] = lambda: None) -> list[dict[str, Any]]:
        """Poll for so long; return what was warned of."""
        with structlog.testing.capture_logs() as logged:
            for _ in range(round(seconds)):
                self.now_s += 1.0
                meanwhile()
                self.poll()
        return [dict(line) for line in logged if line["event"] == "partition_unreadable"]

    def value(self, name: str, partition: int = 0) -> float | None:
        """Return a metric of a partition."""
        labels = {"topic": TOPIC, "partition": str(partition)}
        return self.metrics.registry.get_sample_value(f"moderation_{name}", labels)


@pytest.fixture
def rig(twin: TwinBroker) -> Rig:
    """Return a rig on the broker in memory."""
    return Rig(twin)


def test_a_transaction_left_open_upstream_shows_as_lag_and_is_named(rig: Rig) -> None:
    """50 events waited for 92 s while the lag was 0 and the worker ready."""
    write(rig.broker, TOPIC, [b"{}"] * 3)
    hung = transactional(rig.broker, "upstream")
    write_in_transaction(hung, TOPIC, [b"{}"])
    write(rig.broker, TOPIC, [b"{}"] * 49)
    assert rig.after(AFTER_S - 5) == []
    assert (rig.value("lag_records"), rig.value("lag_records", 1)) == (50, 0)
    (warning,) = rig.after(60)
    assert (warning["place"], warning["n_waiting"]) == (f"{TOPIC}[0]@3", 50)
    assert "kafka-transactions.sh" in warning["remedy"]
    assert len(rig.after(120)) == 2
    assert (rig.value("unreadable_seconds") or 0) > 100
    assert (rig.value("lag_seconds") or 0) >= 0
    hung.abort_transaction(10)
    assert rig.after(20) == []
    assert (rig.value("lag_records"), rig.value("unreadable_seconds")) == (0, 0)


def test_a_batch_on_which_the_client_fails_is_named_at_once_and_then_seldom(rig: Rig) -> None:
    """A damaged zstd batch stood still with a line ten times a second, none of which said where; and without a lag."""
    write(rig.broker, TOPIC, [b"{}"] * 5)
    error = KafkaError(KafkaError._BAD_COMPRESSION, "Decompression failed")

    def fails() -> None:
        rig.client.in_place.append(Message(topic=TOPIC, partition=1, offset=7, error=error))

    write(rig.broker, TOPIC, [b"{}"] * 9, partition=1)
    rig.client.pause([_place(1)])
    warnings = rig.after(100, fails)
    assert len(warnings) == 2
    assert warnings[0]["place"] == f"{TOPIC}[1]@0"
    assert "Decompression failed" in warnings[0]["cause"]
    assert "kafka-delete-records.sh" in warnings[0]["remedy"]
    assert rig.value("lag_records", 1) == 9
    assert (rig.value("unreadable_seconds", 1) or 0) > 80


def test_records_that_the_client_never_brings_are_named(rig: Rig) -> None:
    """Whatever the reason: a partition that stands still in silence is the worst kind."""
    rig.client.pause([_place(0)])
    write(rig.broker, TOPIC, [b"{}"] * 2)
    assert rig.after(AFTER_S - 2) == []
    (warning,) = rig.after(15)
    assert warning["place"] == f"{TOPIC}[0]@0"
    assert "brings nothing" in warning["cause"]


def test_records_that_wait_behind_others_are_not_unreadable(rig: Rig) -> None:
    """A busy worker hands out what it has fetched in turn, one partition's after the other's."""
    rig.client.pause([_place(0)])
    write(rig.broker, TOPIC, [b"{}"] * 2)
    assert rig.after(100, lambda: write(rig.broker, TOPIC, [b"{}"], partition=1)) == []
    assert rig.value("lag_records") == 2


def test_a_worker_that_is_busy_now_and_then_counts_from_its_last_record_on(rig: Rig) -> None:
    """Before that, what it has not handed out may have waited behind that record."""
    rig.client.pause([_place(0)])
    write(rig.broker, TOPIC, [b"{}"] * 2)
    turns = iter(range(1_000))

    def sometimes() -> None:
        if next(turns) % 8 == 0:
            write(rig.broker, TOPIC, [b"{}"], partition=1)

    assert rig.after(150, sometimes) == []


def test_markers_and_aborted_records_at_the_end_are_neither_lag_nor_unreadable(rig: Rig) -> None:
    """An upstream that writes in transactions leaves a marker behind its last record."""
    upstream = transactional(rig.broker, "upstream")
    for end in (upstream.commit_transaction, upstream.abort_transaction):
        write_in_transaction(upstream, TOPIC, [b"{}"])
        end(10)
    assert rig.after(90) == []
    assert (rig.value("lag_records"), rig.value("unreadable_seconds")) == (0, 0)


def test_upstream_transactions_that_follow_one_another_are_not_taken_for_one_that_hangs(rig: Rig) -> None:
    """At every look one is open; the reading moves on all the same."""
    upstream = transactional(rig.broker, "upstream")
    write_in_transaction(upstream, TOPIC, [b"{}"])

    def next_one() -> None:
        upstream.commit_transaction(10)
        write_in_transaction(upstream, TOPIC, [b"{}"])

    assert rig.after(100, next_one) == []


def test_the_lag_grows_while_a_commit_is_waited_for(rig: Rig) -> None:
    """With too few copies the loop waits and does not poll; autoscaling and alerts must not see the lag of before."""
    rig.after(10)
    write(rig.broker, TOPIC, [b"{}"] * 7)
    with structlog.testing.capture_logs() as logged:
        for _ in range(60):
            rig.now_s += 1.0
            rig.consumer.look()
    assert rig.value("lag_records") == 7
    assert logged == []


def test_the_ends_are_asked_for_now_and_then(rig: Rig) -> None:
    """And not before every poll."""
    rig.after(60)
    assert 8 <= rig.n_asked <= 13


def test_what_was_taken_away_is_forgotten(rig: Rig) -> None:
    """Its next owner shows it."""
    rig.after(20)
    assert rig.value("unreadable_seconds") == 0
    rig.consumer.close()
    assert rig.value("unreadable_seconds") is None


def _place(partition: int) -> TopicPartition:
    return TopicPartition(TOPIC, partition)
