"""Records that are there and cannot be read: which, where and why is said, and the lag tells of them."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer

from deploy.local import LocalStack
from deploy.local.ports import free_ports
from testkit.records import InputRecord
from testkit.topics import Topics
from testkit.waiting import wait_until
from tests.integration.conftest import StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.probes import samples, status_of
from tests.integration.segments import damage_first_batch

pytestmark = pytest.mark.services

QUICK = {"KAFKA__UNREADABLE_AFTER_S": "2"}


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """One broker of this file's own, because it is stopped and its files are damaged."""
    with LocalStack() as running:
        yield running


@pytest.fixture
def port() -> int:
    """Return a free port for the worker's health endpoints."""
    return free_ports(1)[0]


def as_records(chats: list[dict[str, Any]]) -> list[InputRecord]:
    """Return events as upstream sends them."""
    return [InputRecord(chat["chat_id"].encode(), orjson.dumps(chat)) for chat in chats]


def lag_of(port: int, topics: Topics, partition: int) -> float | None:
    """Return the lag that the worker shows for a partition."""
    place = (("partition", str(partition)), ("topic", topics.events))
    return samples(port, "moderation_lag_records").get(place)


def test_a_transaction_left_open_upstream_is_lag_and_is_named(
    topics: Topics, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]], port: int
) -> None:
    """50 events waited for 92 s, with a lag of 0 and a worker that called itself ready."""
    worker = start_worker(HTTP__PORT=str(port), KAFKA__SESSION_TIMEOUT_S="6", **QUICK)
    worker.wait_until_it_owns_partitions()
    hung = Producer({"bootstrap.servers": topics.bootstrap_servers, "transactional.id": f"upstream-{topics.group_id}"})
    hung.init_transactions(30)
    hung.begin_transaction()
    hung.produce(topics.events, value=b"{}", partition=0)
    assert hung.flush(30) == 0
    ledger.send_raw([InputRecord(b"k", b"{}") for _ in range(50)], partition=0)
    warning = worker.wait_for("partition_unreadable", timeout_s=30)
    assert (warning["place"], warning["n_waiting"]) == (f"{topics.events}[0]@0", 51)
    assert "kafka-transactions.sh" in warning["remedy"]
    assert lag_of(port, topics, 0) == 51
    ledger.send_raw(as_records(sample_chats[:4]), partition=1)
    wait_until(lambda: samples(port, "moderation_records_total") == {(): 4}, timeout_s=30, what=worker.tail)
    hung.abort_transaction(30)
    ledger.wait_complete()
    wait_until(lambda: lag_of(port, topics, 0) == 0, timeout_s=30, what=worker.tail)
    ledger.assert_exactly_once()


def test_a_damaged_batch_is_named_with_its_place_and_the_other_partitions_go_on(
    *,
    stack: LocalStack,
    topics: Topics,
    ledger: LiveLedger,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
    port: int,
) -> None:
    """Its partition stood still, with a line ten times a second that did not say where, and without a lag."""
    producer = Producer({"bootstrap.servers": topics.bootstrap_servers, "compression.type": "zstd", "linger.ms": 200})
    for _ in range(40):
        producer.produce(topics.events, value=b'{"chat_id": "damaged"}' * 40, partition=2)
    assert producer.flush(30) == 0
    stack.kafka.stop_broker(0)
    damage_first_batch(stack.data_dir, topics.events, 2)
    stack.kafka.start_broker(0)
    worker = start_worker(HTTP__PORT=str(port), KAFKA__SESSION_TIMEOUT_S="6", **QUICK)
    warning = worker.wait_for("partition_unreadable")
    assert warning["place"] == f"{topics.events}[2]@0"
    assert "_BAD_COMPRESSION" in warning["cause"]
    wait_until(lambda: lag_of(port, topics, 2) == 40, timeout_s=30, what=worker.tail)
    ledger.send_raw(as_records(sample_chats[:4]), partition=1)
    ledger.wait_complete()
    assert status_of(port, "/readyz") == 200
    assert len(worker.events("partition_unreadable")) <= 2
    assert worker.events("consumer_error") == []
