"""A batch is closed by what its records take decoded, whatever the client would hand over at once."""

from collections.abc import Callable
from typing import Any

from confluent_kafka import TopicPartition

from schemas import estimated_decoded_bytes
from worker.consumer import RecordConsumer
from worker.metrics import Metrics
from worker.reachability import Reachability
from worker.settings import BatchSettings, KafkaSettings

TOPIC = "chat-events"
BATCH_BYTES = BatchSettings().max_bytes
SMALL = b'"' + b"a" * 500 + b'"'
LONG_TEXT = b'"' + b"a" * 2_000_000 + b'"'
MANY_VALUES = b"[" + b"1," * 1_000_000 + b"1]"


class OneMessage:
    """A record as the client gives it."""

    def __init__(self, offset: int, value: bytes | None) -> None:
        self._offset, self._value = offset, value

    def error(self) -> None:
        """Nothing is wrong with it."""

    def topic(self) -> str:
        """Return the topic."""
        return TOPIC

    def partition(self) -> int:
        """Return the partition."""
        return 0

    def offset(self) -> int:
        """Return the offset."""
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        """Return a kind and milliseconds."""
        return 1, 1_000

    def key(self) -> bytes:
        """Return the key."""
        return b"k"

    def headers(self) -> None:
        """There are none."""

    def value(self) -> bytes | None:
        """Return the value."""
        return self._value


class FullClient:
    """A client that has everything at once, and notes how much is asked for."""

    def __init__(self, values: list[bytes | None]) -> None:
        self._waiting = [OneMessage(offset, value) for offset, value in enumerate(values)]
        self._on_assign: Callable[[Any, list[TopicPartition]], None]
        self.steps: list[int] = []

    def subscribe(self, _topics: list[str], *, on_assign: Callable[..., None], **_: Callable[..., None]) -> None:
        """Keep the callback."""
        self._on_assign = on_assign

    def poll(self, _: float) -> OneMessage | None:
        """Return the next record."""
        return self._waiting.pop(0) if self._waiting else None

    def consume(self, n_records: int, *, timeout: float) -> list[OneMessage]:
        """Return as many as are asked for."""
        assert timeout == 0
        self.steps.append(n_records)
        taken, self._waiting = self._waiting[:n_records], self._waiting[n_records:]
        return taken


def batches_of(values: list[bytes | None], *, max_records: int = 1_000) -> tuple[list[list[bytes | None]], FullClient]:
    """Return the batches in which these records come."""
    client, metrics = FullClient(values), Metrics()
    reachability = Reachability(exit_after_s=60.0, metrics=metrics, probe=lambda: None)
    settings = KafkaSettings(bootstrap_servers="broker:9092")
    consumer = RecordConsumer(client, settings, metrics, reachability, settle=lambda: None)  # type: ignore[arg-type]
    consumer._assigned[TOPIC, 0] = 0
    batches = []
    while batch := consumer.poll_batch(max_records=max_records, max_bytes=BATCH_BYTES):
        batches.append([record.value for record in batch])
    return batches, client


def test_small_records_come_as_many_as_are_asked_for() -> None:
    """What bounds hostile records must cost ordinary ones nothing."""
    batches, _ = batches_of([SMALL] * 1_000)
    assert [len(batch) for batch in batches] == [1_000]


def test_a_batch_holds_few_large_records_and_fewer_of_many_values() -> None:
    """Thirty records of 2 MB were 60 MB of bytes and, decoded at once, 1.6 GB."""
    for value, most in ((LONG_TEXT, 1), (MANY_VALUES, 1)):
        batches, _ = batches_of([value] * 12)
        assert sum(map(len, batches)) == 12
        assert all(len(batch) <= most for batch in batches)


def test_large_records_behind_small_ones_overshoot_by_one_step_at_most() -> None:
    """The client counts records, so a step may hold anything; the next step is as small as its largest asks for."""
    batches, client = batches_of([*[SMALL] * 200, *[LONG_TEXT] * 100])
    assert sum(map(len, batches)) == 300
    assert max(client.steps) <= 32
    # The limit, and one step of the largest.
    assert max(sum(map(estimated_decoded_bytes, batch)) for batch in batches) <= BATCH_BYTES + 32 * 8_000_200
    after_the_first = [batch for batch in batches if LONG_TEXT in batch][1:]
    assert max(map(len, after_the_first)) <= 1


def test_records_without_values_weigh_nothing() -> None:
    """Tombstones."""
    batches, _ = batches_of([None] * 100, max_records=40)
    assert [len(batch) for batch in batches] == [40, 40, 20]
