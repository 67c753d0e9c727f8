"""A batch is closed by what its records take decoded, whatever the client would hand over at once.

In memory only: a real client hands over what it happens to have fetched, the twin everything that is there.
"""

from collections.abc import Sequence

import pytest

from schemas import estimated_decoded_bytes
from tests.broker_twin.broker import TwinBroker
from tests.worker.kafka.faults import FaultyClient
from worker.kafka.config import consumer_config
from worker.kafka.consumer import RecordConsumer
from worker.kafka.reachability import Reachability
from worker.process.metrics import Metrics
from worker.record import Record
from worker.settings.batch import BatchSettings
from worker.settings.kafka import KafkaSettings

TOPIC = "chat-events"
BATCH_BYTES = BatchSettings().max_bytes
SMALL = b'"' + b"a" * 500 + b'"'
LONG_TEXT = b'"' + b"a" * 2_000_000 + b'"'
MANY_VALUES = b"[" + b"1," * 1_000_000 + b"1]"

Headers = list[tuple[str, bytes]]


class NotingClient(FaultyClient):
    """A client that notes how much is asked for at once."""

    def __init__(self, client: object) -> None:
        super().__init__(client)
        self.steps: list[int] = []

    def consume(self, n_records: int, *, timeout: float) -> object:
        """Return as many as are asked for."""
        assert timeout == 0
        self.steps.append(n_records)
        return self._client.consume(n_records, timeout=timeout)


class Topic:
    """A topic in which everything waits, and the batches in which it comes.

    Args:
        broker: The broker.
    """

    def __init__(self, broker: TwinBroker) -> None:
        settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, input_topic=TOPIC)
        broker.create_topics({TOPIC: 1})
        self._producer = broker.producer({})
        self.client = NotingClient(broker.consumer(consumer_config(settings)))
        metrics = Metrics()
        reachability = Reachability(exit_after_s=60.0, metrics=metrics, probe=lambda: None)
        self._consumer = RecordConsumer(self.client, settings, metrics, reachability, settle=lambda: None)  # type: ignore[arg-type]

    def write(self, values: Sequence[bytes | None], *, key: bytes = b"k", headers: Headers | None = None) -> None:
        """Write records."""
        for value in values:
            self._producer.produce(TOPIC, value=value, key=key, headers=headers)  # type: ignore[arg-type]

    def batches(self, *, max_records: int = 1_000) -> list[list[Record]]:
        """Read everything."""
        batches = []
        while batch := self._consumer.poll_batch(max_records=max_records, max_bytes=BATCH_BYTES):
            batches.append(batch)
        return batches

    def batches_of(self, values: Sequence[bytes | None], *, max_records: int = 1_000) -> list[list[bytes | None]]:
        """Return the batches in which these values come."""
        self.write(values)
        return [[record.value for record in batch] for batch in self.batches(max_records=max_records)]


@pytest.fixture
def topic(twin: TwinBroker) -> Topic:
    """Return an empty topic."""
    return Topic(twin)


def test_small_records_come_as_many_as_are_asked_for(topic: Topic) -> None:
    """What bounds hostile records must cost ordinary ones nothing."""
    assert [len(batch) for batch in topic.batches_of([SMALL] * 1_000)] == [1_000]


@pytest.mark.parametrize("value", [LONG_TEXT, MANY_VALUES], ids=["long text", "many values"])
def test_a_batch_holds_few_large_records_and_fewer_of_many_values(topic: Topic, value: bytes) -> None:
    """Thirty records of 2 MB were 60 MB of bytes and, decoded at once, 1.6 GB."""
    assert [len(batch) for batch in topic.batches_of([value] * 12)] == [1] * 12


def test_large_records_behind_small_ones_overshoot_by_one_step_at_most(topic: Topic) -> None:
    """The client counts records, so a step may hold anything; the next step is as small as its largest asks for."""
    batches = topic.batches_of([*[SMALL] * 200, *[LONG_TEXT] * 100])
    assert sum(map(len, batches)) == 300
    assert max(topic.client.steps) <= 32
    # The limit, and one step of the largest.
    assert max(sum(map(estimated_decoded_bytes, batch)) for batch in batches) <= BATCH_BYTES + 32 * 8_000_200
    after_the_first = [batch for batch in batches if LONG_TEXT in batch][1:]
    assert max(map(len, after_the_first)) <= 1


def test_records_without_values_weigh_nothing(topic: Topic) -> None:
    """Tombstones."""
    assert [len(batch) for batch in topic.batches_of([None] * 100, max_records=40)] == [40, 40, 20]


@pytest.mark.parametrize(
    ("key", "headers"),
    [
        pytest.param(b"k" * 1_000_000, [], id="key"),
        pytest.param(b"k", [("h", b"")] * 60_000, id="many headers"),
        pytest.param(b"k", [("h", b"v" * 1_000_000), ("traceparent", b"t")], id="one large header"),
    ],
)
def test_keys_and_headers_weigh_as_values_do(topic: Topic, key: bytes, headers: Headers) -> None:
    """A record may have a megabyte of either beside an empty value, and a batch a thousand such records."""
    topic.write([b"{}"] * 40, key=key, headers=headers)
    batches = topic.batches()
    assert sum(map(len, batches)) == 40
    assert max(map(len, batches)) <= 8
