"""A producer of the twin: what confluent_kafka's Producer shows to the worker."""

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from tests.broker_twin.errors import failure
from tests.broker_twin.group import GroupMetadata
from tests.broker_twin.partition_log import Entry, Headers, State, Transaction

if TYPE_CHECKING:
    from tests.broker_twin.broker import TwinBroker

OnDelivery = Callable[[KafkaError | None, Message], None]


class TwinProducer:
    """A producer; with a `transactional.id` it writes in transactions only.

    Args:
        broker: The broker.
        config: librdkafka properties.
    """

    def __init__(self, broker: "TwinBroker", config: Mapping[str, Any]) -> None:
        self._broker = broker
        self._id: str | None = config.get("transactional.id")
        self._epoch: int | None = None
        self._in_transaction = False
        self._refused: KafkaException | None = None
        self._undelivered: list[Callable[[], None]] = []

    def init_transactions(self, timeout: float = -1) -> None:  # noqa: ARG002
        """Take the transactional id over from any producer before."""
        if self._id is None:
            raise failure(KafkaError._NOT_CONFIGURED, "no transactional.id")
        with self._broker.lock:
            self._epoch = self._broker.take_over(self._id)

    def begin_transaction(self) -> None:
        """Begin; the broker hears of it with the first record."""
        if self._epoch is None or self._in_transaction:
            raise failure(KafkaError._STATE, "transactions are not initialised, or one is open")
        self._in_transaction, self._refused = True, None

    def produce(
        self,
        topic: str,
        *,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int = -1,
        on_delivery: OnDelivery | None = None,
        timestamp: int = 0,
        headers: Headers | None = None,
    ) -> None:
        """Write a record; its report is served by `poll` or `flush`."""
        if self._id is not None and not self._in_transaction:
            raise failure(KafkaError._STATE, "no transaction is open")
        with self._broker.lock:
            n_partitions = len(self._broker.topics.get(topic, ()))
            if partition < 0 and n_partitions:
                partition = zlib.crc32(key or b"") % n_partitions
            error, offset = None, -1
            log = self._broker.log((topic, partition))
            transaction = self._transaction()
            if log is None:
                error = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
            elif self._is_fenced:
                error = KafkaError(KafkaError._FENCED)
            else:
                entry = Entry(key, value, headers, timestamp or round(time.time() * 1_000), transaction)
                if (code := log.refusal(entry)) is None:
                    offset = log.append(entry)
                else:
                    error = KafkaError(code)
                    self._refused = failure(code, f"ProduceRequest for {topic} failed", requires_abort=True)
        message = Message(
            topic=topic, partition=partition, offset=offset, key=key, value=value, headers=headers, error=error
        )  # type: ignore[call-overload]
        self._undelivered.append(lambda: on_delivery(error, message) if on_delivery is not None else None)

    def poll(self, timeout: float = -1) -> int:  # noqa: ARG002
        """Serve delivery reports."""
        served, self._undelivered = self._undelivered, []
        for report in served:
            report()
        return len(served)

    def flush(self, timeout: float = -1) -> int:
        """Serve delivery reports; nothing is left in a queue."""
        self.poll(timeout)
        return 0

    def purge(self) -> None:
        """Forget what is queued, which is nothing."""

    def send_offsets_to_transaction(
        self,
        positions: Sequence[TopicPartition],
        group_metadata: GroupMetadata,
        timeout: float = -1,  # noqa: ARG002
    ) -> None:
        """Add offsets; the coordinator of the group refuses those of a member that it has moved on from."""
        with self._broker.lock:
            self._check()
            self._check_refused()
            group = self._broker.group(group_metadata.group_id)
            if (code := group.refusal(group_metadata, transactional=True)) is not None:
                raise failure(code, "the group has moved on", requires_abort=True)
            transaction = self._transaction()
            assert transaction is not None
            offsets = transaction.offsets.setdefault(group_metadata.group_id, {})
            offsets.update({(p.topic, p.partition): (p.offset, p.metadata or "") for p in positions})

    def commit_transaction(self, timeout: float = -1) -> None:
        """Commit."""
        self._check_refused()
        self._end(State.COMMITTED, timeout)

    def abort_transaction(self, timeout: float = -1) -> None:
        """Abort."""
        self._end(State.ABORTED, timeout)

    def _end(self, state: State, timeout: float) -> None:
        with self._broker.lock:
            self._check()
            self._broker.end(str(self._id), state)
            self._in_transaction = False
        self.poll(timeout)

    @property
    def _is_fenced(self) -> bool:
        return self._id is not None and self._epoch is not None and self._broker.is_fenced(self._id, self._epoch)

    def _check(self) -> None:
        if not self._in_transaction:
            raise failure(KafkaError._STATE, "no transaction is open")
        if self._is_fenced:
            raise failure(KafkaError._FENCED, "a newer producer has this transactional.id", fatal=True)

    def _check_refused(self) -> None:
        """Fail where the broker has refused a record of this transaction."""
        if self._refused is not None:
            raise self._refused

    def _transaction(self) -> Transaction | None:
        return None if self._id is None or self._is_fenced else self._broker.transaction(self._id)
