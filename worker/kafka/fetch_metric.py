"""From which brokers the partitions are read: shows whether reading within the own rack works.

A worker with a rack reads from a copy in that rack where the brokers choose one (KIP-392). Whether they do depends on
broker.rack and replica.selector.class, and nothing fails where it does not: it only costs cross-zone traffic. The one
place where it shows is librdkafka's statistics (`topics.*.partitions.*.broker`), which this reads.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import orjson

from worker.process.metrics import Metrics
from worker.settings.kafka import KafkaSettings

_INTERVAL_MS: Final = 5_000


def fetch_statistics(settings: KafkaSettings, metrics: Metrics) -> dict[str, Any]:
    """Return the consumer properties that keep `moderation_fetch_partitions` up to date; none without a rack."""
    if not settings.client_rack:
        return {}
    return {"statistics.interval.ms": _INTERVAL_MS, "stats_cb": watch_brokers(settings.input_topic, metrics)}


def watch_brokers(topic: str, metrics: Metrics) -> Callable[[str], None]:
    """Return a statistics callback that counts the partitions of a topic by the broker they are read from."""
    known: set[str] = set()

    def on_statistics(text: str) -> None:
        partitions = orjson.loads(text)["topics"].get(topic, {}).get("partitions", {})
        found = Counter(str(one["broker"]) for one in partitions.values() if one["fetch_state"] == "active")
        known.update(found)
        for broker in known:
            metrics.fetch_partitions.labels(broker=broker).set(found[broker])

    return on_statistics
