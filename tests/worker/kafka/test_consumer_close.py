"""Leaving the group while others leave it too."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from worker.kafka.consumer import RecordConsumer
from worker.kafka.reachability import Reachability
from worker.process.metrics import Metrics
from worker.settings.kafka import KafkaSettings


class ClosingClient:
    """A client that is given partitions while it closes, as happens where another member has just left."""

    def __init__(self) -> None:
        self.assigned: list[TopicPartition] = []
        self._on_assign: Callable[[Any, list[TopicPartition]], None]

    def subscribe(self, _topics: list[str], *, on_assign: Callable[..., None], **_: Callable[..., None]) -> None:
        """Keep the callback."""
        self._on_assign = on_assign

    def close(self) -> None:
        """Assign partitions on the way out."""
        self._on_assign(self, [TopicPartition("chat-events", 3)])

    def committed(self, *_: Any, **__: Any) -> list[TopicPartition]:
        """Fail the test: a closing client leaves this unanswered until the time-out."""
        pytest.fail("a closing client was asked for committed offsets")

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        """Note what was acknowledged."""
        self.assigned += partitions


def test_partitions_that_come_while_closing_are_acknowledged_and_not_read() -> None:
    """Asking for their offsets took 15 s a try: a worker told to stop was cut by its grace time (exit code 4)."""
    client, metrics = ClosingClient(), Metrics()
    reachability = Reachability(exit_after_s=60.0, metrics=metrics, probe=lambda: None)
    consumer = RecordConsumer(
        client,  # type: ignore[arg-type]
        KafkaSettings(bootstrap_servers="broker:9092"),
        metrics,
        reachability,
        settle=lambda: None,
    )
    consumer.close()
    assert [p.partition for p in client.assigned] == [3]
    assert not consumer.joined
