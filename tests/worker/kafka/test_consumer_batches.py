"""A batch is closed by what its records take decoded, whatever the client would hand over at once."""

from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import TopicPartition

from schemas import estimated_decoded_bytes
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


class OneMessage:
    """A record as the client gives it."""

    def __init__(
        self, offset: int, value: bytes | None, key: bytes = b"k", headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        self._offset, self._value, self._key, self._headers = offset, value, key, [*headers]

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
        return self._key

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the headers."""
        return self._headers

    def set_headers(self, headers: list[tuple[str, bytes]]) -> None:
        """Replace the headers."""
        self._headers = headers

    def value(self) -> bytes | None:
        """Return the value."""
        return self._value


class FullClient:
    """A client that has everything at once, and notes how much is asked for."""

    def __init__(self, values: list[bytes | None]) -> None:
        self.waiting = [OneMessage(offset, value) for offset, value in enumerate(values)]
        self._on_assign: Callable[[Any, list[TopicPartition]], None]
        self.steps: list[int] = []

    def subscribe(self, _topics: list[str], *, on_assign: Callable[..., None], **_: Callable[..., None]) -> None:
        """Keep the callback."""
        self._on_assign = on_assign

    def poll(self, _: float) -> OneMessage | None:
        """Return the next record."""
        return self.waiting.pop(0) if self.waiting else None

    def consume(self, n_records: int, *, timeout: float) -> list[OneMessage]:
        """Return as many as are asked for."""
        assert timeout == 0
        self.steps.append(n_records)
        taken, self.waiting = self.waiting[:n_records], self.waiting[n_records:]
        return taken


def batches_of(values: list[bytes | None], *, max_records: int = 1_000) -> tuple[list[list[bytes | None]], FullClient]:
    """Return the batches in which these records come."""
    client = FullClient(values)
    return [[record.value for record in batch] for batch in read(client, max_records=max_records)], client


def read(client: FullClient, *, max_records: int = 1_000) -> list[list[Record]]:
    """Return the batches in which the client's records come."""
    metrics = Metrics()
    reachability = Reachability(exit_after_s=60.0, metrics=metrics, probe=lambda: None)
    settings = KafkaSettings(bootstrap_servers="broker:9092")
    consumer = RecordConsumer(client, settings, metrics, reachability, settle=lambda: None)  # type: ignore[arg-type]
    consumer._assigned[TOPIC, 0] = 0
    batches = []
    while batch := consumer.poll_batch(max_records=max_records, max_bytes=BATCH_BYTES):
        batches.append(batch)
    return batches


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


def test_keys_and_headers_weigh_as_values_do() -> None:
    """A record may have a megabyte of either beside an empty value, and a batch a thousand such records."""
    one_large: list[tuple[str, bytes]] = [("h", b"v" * 1_000_000), ("traceparent", b"t")]
    for key, headers in ((b"k" * 1_000_000, []), (b"k", [("h", b"")] * 60_000), (b"k", one_large)):
        client = FullClient([])
        client.waiting = [OneMessage(offset, b"{}", key, headers) for offset in range(40)]
        batches = read(client)
        assert sum(map(len, batches)) == 40
        assert max(map(len, batches)) <= 8
