"""Where a group stands in its partitions: what it has committed, and which offsets the broker holds."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple, TypeVar

from confluent_kafka import OFFSET_INVALID, KafkaException, TopicPartition

from worker.kafka.client import KafkaConsumer
from worker.kafka.partition_range import Partition
from worker.kafka.retry import Waiting, patiently, unheard
from worker.settings.kafka import KafkaSettings

T = TypeVar("T")

_REMEDY: Final = (
    "check the brokers; where they answer others, a transaction that never ended holds the offsets back: look for it "
    "with `kafka-transactions.sh find-hanging` and end it with `abort`"
)


class Position(NamedTuple):
    """What is known of one partition before it is read."""

    place: Partition
    committed: int | None
    """The next offset to read; None where the group has committed none."""
    note: str | None
    """What stands beside it."""
    low: int
    """First offset that is on the broker."""
    high: int
    """The one after the last."""


class Positions:
    """Asks the brokers, patiently.

    Args:
        client: A consumer of the group.
        settings: Kafka settings.
        waiting: Told while an answer is waited for.
    """

    def __init__(self, client: KafkaConsumer, settings: KafkaSettings, waiting: Waiting = unheard) -> None:
        self._client = client
        self._settings = settings
        self._waiting = waiting

    def of(self, places: Sequence[Partition]) -> list[Position]:
        """Return where the group stands in these partitions.

        Raises:
            Fatal: the brokers refuse, or do not answer in time.
        """
        if not places:
            return []
        found = self.patiently("reading committed offsets", partial(self._committed, places))
        return [
            Position(
                (one.topic, one.partition),
                None if one.offset == OFFSET_INVALID else one.offset,
                one.metadata,
                *self.limits((one.topic, one.partition)),
            )
            for one in found
        ]

    def _committed(self, places: Sequence[Partition], *, timeout: float) -> list[TopicPartition]:
        found = self._client.committed([TopicPartition(*place) for place in places], timeout=timeout)
        for partition in found:
            # An unread offset must not pass for "nothing committed": records would be judged twice.
            if partition.error is not None:
                raise KafkaException(partition.error)
        return found

    def limits(self, place: Partition) -> tuple[int, int]:
        """Return the first offset of a partition that is on the broker, and the one after the last.

        Raises:
            Fatal: the brokers refuse, or do not answer in time.
        """
        ask = partial(self._client.get_watermark_offsets, TopicPartition(*place))
        return self.patiently("reading offset limits", ask)

    def patiently(self, doing: str, call: Callable[..., T]) -> T:
        """Ask anything else about offsets, see `worker.kafka.retry.patiently`."""
        return patiently(doing, call, self._settings, remedy=_REMEDY, waiting=self._waiting)
