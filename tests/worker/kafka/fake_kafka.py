"""Stand-ins for the Kafka clients: they note what was asked, and fail where they are told to."""

from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition


class FakeProducer:
    """A producer.

    Args:
        failures: Method name to the errors of its next calls, in order.
    """

    def __init__(self, failures: dict[str, list[BaseException]] | None = None) -> None:
        self.failures = failures or {}
        self.calls: list[str] = []
        self.produced: list[tuple[str, bytes | None]] = []
        self.offsets: list[tuple[str, int, int]] = []
        self.delivery_error: KafkaError | None = None
        self.n_unacknowledged = 0
        self._callbacks: list[Callable[[KafkaError | None, Any], None]] = []

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if self.failures.get(call):
            raise self.failures[call].pop(0)

    def init_transactions(self, _: float) -> None:
        """Register with the coordinator."""
        self._note("init_transactions")

    def begin_transaction(self) -> None:
        """Open a transaction."""
        self._note("begin_transaction")

    def produce(self, topic: str, *, value: bytes | None, key: Any, headers: Any, on_delivery: Any) -> None:  # noqa: ARG002
        """Take a message."""
        self._note("produce")
        self.produced.append((topic, value))
        if on_delivery is not None:
            self._callbacks.append(on_delivery)

    def poll(self, _: float) -> int:
        """Serve callbacks."""
        self._note("poll")
        return 0

    def flush(self, _: float) -> int:
        """Deliver everything, or fail to."""
        self._note("flush")
        for callback in self._callbacks:
            callback(self.delivery_error, None)
        self._callbacks = []
        return self.n_unacknowledged

    def send_offsets_to_transaction(self, offsets: list[TopicPartition], member: object, _: float) -> None:
        """Add offsets."""
        assert member is MEMBER
        self._note("send_offsets_to_transaction")
        self.offsets = [(place.topic, place.partition, place.offset) for place in offsets]

    def commit_transaction(self, _: float) -> None:
        """Commit."""
        self._note("commit_transaction")

    def abort_transaction(self, _: float) -> None:
        """Abort."""
        self._note("abort_transaction")

    def purge(self) -> None:
        """Forget what is queued."""
        self._note("purge")


class FakeConsumer:
    """A consumer that commits offsets.

    Args:
        failure: What the commit raises.
    """

    def __init__(self, failure: KafkaException | None = None) -> None:
        self.failure = failure
        self.committed: list[tuple[str, int, int]] = []

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        """Commit offsets."""
        assert not asynchronous
        if self.failure is not None:
            raise self.failure
        self.committed = [(place.topic, place.partition, place.offset) for place in offsets]
        return offsets


MEMBER = object()
"""Group metadata."""


def kafka_failure(code: int, *, fatal: bool = False, requires_abort: bool = False) -> KafkaException:
    """Return what the client raises."""
    # The client's own signature: code, reason, fatal, retriable, requires abort.
    return KafkaException(KafkaError(code, "reason", fatal, False, requires_abort))  # noqa: FBT003
