"""Leaving the group while others leave it too."""

from typing import Any

import pytest
from confluent_kafka import Consumer

from tests.broker_twin.broker import TwinBroker
from tests.worker.kafka.faults import FaultyClient
from worker.kafka.config import consumer_config
from worker.kafka.consumer import RecordConsumer
from worker.kafka.reachability import Reachability
from worker.process.metrics import Metrics
from worker.settings.kafka import KafkaSettings

SETTINGS = KafkaSettings(bootstrap_servers="twin:1", input_topic="chat-events")


class ClosingClient(FaultyClient):
    """A client that may not be asked for committed offsets, and notes what it was assigned."""

    def __init__(self, client: Consumer) -> None:
        super().__init__(client)
        self.assigned: list[int] = []

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        """Have the callbacks called with this client."""
        told = {name: lambda _, given, call=callback: call(self, given) for name, callback in callbacks.items()}
        self._client.subscribe(topics, **told)

    def committed(self, *_: Any, **__: Any) -> None:
        """Fail the test: a closing client leaves this unanswered until the time-out."""
        pytest.fail("a closing client was asked for committed offsets")

    def incremental_assign(self, partitions: list[Any]) -> None:
        """Note what was acknowledged."""
        self.assigned += [p.partition for p in partitions]
        self._client.incremental_assign(partitions)


def consumer_over(client: object) -> RecordConsumer:
    """Return the worker's consumer over a client."""
    metrics = Metrics()
    reachability = Reachability(exit_after_s=60.0, metrics=metrics, probe=lambda: None)
    return RecordConsumer(client, SETTINGS, metrics, reachability, settle=lambda: None)  # type: ignore[arg-type]


def test_partitions_that_come_while_closing_are_acknowledged_and_not_read(twin: TwinBroker) -> None:
    """Asking for their offsets took 15 s a try: a worker told to stop was cut by its grace time (exit code 4).

    In memory only: on a real broker it is a matter of luck that they come in this moment.
    """
    twin.create_topics({"chat-events": 2})
    client = ClosingClient(twin.consumer(consumer_config(SETTINGS)))
    consumer = consumer_over(client)
    consumer.close()
    assert client.assigned == [0, 1]
    assert not consumer.joined
