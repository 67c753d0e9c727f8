"""From which brokers a worker with a rack reads."""

from typing import Any

import orjson

from worker.kafka.fetch_metric import fetch_statistics, watch_brokers
from worker.process.metrics import Metrics
from worker.settings.kafka import KafkaSettings

TOPIC = "chat-events"


def statistics(*partitions: tuple[int, str]) -> str:
    """Return librdkafka's statistics of partitions, each read from a broker or in some other state."""
    found: dict[str, Any] = {
        str(number): {"broker": broker, "fetch_state": state} for number, (broker, state) in enumerate(partitions)
    }
    return orjson.dumps({"topics": {TOPIC: {"partitions": found}}}).decode()


def read_from(metrics: Metrics) -> dict[str, float]:
    """Return the metric by broker."""
    (family,) = metrics.fetch_partitions.collect()
    return {sample.labels["broker"]: sample.value for sample in family.samples}


def test_partitions_are_counted_by_the_broker_they_are_read_from() -> None:
    """Those of other workers, which are known and not fetched, do not count."""
    metrics = Metrics()
    take = watch_brokers(TOPIC, metrics)
    take(statistics((1, "active"), (1, "active"), (2, "active"), (0, "none"), (-1, "stopped")))
    assert read_from(metrics) == {"1": 2, "2": 1}


def test_a_broker_that_is_left_counts_nothing() -> None:
    """Else a lost rack would look as if it still served."""
    metrics = Metrics()
    take = watch_brokers(TOPIC, metrics)
    take(statistics((1, "active")))
    take(statistics((2, "active")))
    take(orjson.dumps({"topics": {}}).decode())
    assert read_from(metrics) == {"1": 0, "2": 0}


def test_without_a_rack_no_statistics_are_taken() -> None:
    """They cost time, and their one use is to see whether the rack works."""
    metrics = Metrics()
    assert fetch_statistics(KafkaSettings(bootstrap_servers="broker:9092"), metrics) == {}
    with_rack = KafkaSettings(bootstrap_servers="broker:9092", client_rack="zone-a")
    assert fetch_statistics(with_rack, metrics)["statistics.interval.ms"] > 0
